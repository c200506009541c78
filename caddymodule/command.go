package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/shared/queue"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "eider",
		Short:     "Looks at the analytics queue",
		Long:      "Looks at what the eider module has recorded on this machine.",
		CobraFunc: func(cmd *cobra.Command) { cmd.AddCommand(queueCommand()) },
	})
}

func queueCommand() *cobra.Command {
	var dir, address string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "queue [--dir DIR | --address ADDRESS] [--json]",
		Short: "Shows what waits in the queue and whether it is shipped",
		Long: "Asks the running Caddy by its admin endpoint. With --dir it checks the files of a\n" +
			"queue that no process has open instead, and fails if anything is wrong with them.",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir != "" {
				return inspectQueue(cmd.OutOrStdout(), dir, asJSON)
			}
			return askQueue(cmd.OutOrStdout(), address, asJSON)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the directory of a queue that is not in use")
	cmd.Flags().StringVar(&address, "address", caddy.DefaultAdminListen, "the admin endpoint of the running Caddy")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askQueue shows the queue of a running Caddy.
func askQueue(w io.Writer, address string, asJSON bool) error {
	resp, err := caddycmd.AdminAPIRequest(address, "GET", statusPath, nil, nil)
	if err != nil {
		return fmt.Errorf("ask the running caddy at %s: %w; if it does not run, use --dir", address, err)
	}
	defer resp.Body.Close()
	var report statusReport
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return fmt.Errorf("read the answer of %s: %w", address, err)
	}
	if asJSON {
		return printJSON(w, report)
	}
	if len(report.Edges) == 0 {
		_, err := fmt.Fprintln(w, "no queue: the running configuration does not use eider")
		return err
	}
	for i := range report.Edges {
		printStatus(w, &report.Edges[i])
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printStatus(w io.Writer, st *status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("queue", "%s", st.Queue.Dir)
	row("state", "%s", withReason(st.Queue.State, st.Queue.Reason))
	row("edge", "%s, epoch %s", st.Edge, st.Epoch)
	row("disk", "%s of %s in %d segments, %s free on the volume", humanize.IBytes(uint64(max(st.Queue.Bytes, 0))),
		humanize.IBytes(uint64(max(st.Queue.MaxBytes, 0))), st.Queue.Segments, humanize.IBytes(uint64(max(st.Queue.FreeBytes, 0))))
	row("sequences", "acknowledged through %d, on disk through %d, next %d", st.Queue.AckedThrough, st.Queue.SyncedThrough, st.Queue.NextSeq)
	row("events", "captured %d = stored %d + queued %d + dropped %d + rejected %d + lost %d", st.Events.Captured, st.Events.Stored,
		st.Events.Queued, st.Events.Dropped, st.Events.Rejected, st.Events.Lost)
	for _, reason := range sortedKeys(st.Events.DroppedBy) {
		if n := st.Events.DroppedBy[reason]; n > 0 {
			row("  dropped", "%d: %s", n, reason)
		}
	}
	row("oldest", "%.1f s", st.Queue.OldestAgeSeconds)
	row("shipping", "%s to %s", withReason(st.Ship.State, st.Ship.LastError), st.Ship.Aggregator)
	if st.Ship.LastAck != nil {
		row("  last ack", "%s", humanize.Time(*st.Ship.LastAck))
	}
	_ = t.Flush() // w is the terminal; there is nobody to tell
}

func withReason(state, reason string) string {
	if reason == "" {
		return state
	}
	return state + " (" + reason + ")"
}

func sortedKeys(m map[string]uint64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// errUnsound ends the command with a status that scripts can see.
var errUnsound = errors.New("the queue is not sound")

// inspectQueue checks the files of a queue that no process has open.
func inspectQueue(w io.Writer, dir string, asJSON bool) error {
	report, err := queue.Inspect(dir)
	if errors.Is(err, queue.ErrLocked) {
		return fmt.Errorf("%w; leave --dir out to ask the process that has it open, or look at a copy", err)
	}
	if err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(w, report); err != nil {
			return err
		}
	} else {
		printReport(w, &report)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%w: %d problems", errUnsound, len(report.Problems))
	}
	return nil
}

func printReport(w io.Writer, r *queue.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("queue", "%s", r.Dir)
	row("id", "%s, created %s", r.ID, r.Created.Format("2006-01-02 15:04:05 MST"))
	row("closed", "%s", map[bool]string{true: "in order", false: "not in order: what is unsynced is checked at the next start"}[r.Clean])
	row("disk", "%s in %d segments, %d batches", humanize.IBytes(uint64(max(r.Bytes, 0))), len(r.Segments), r.Records)
	row("sequences", "needed from %d, on disk before %d", r.Trimmed, r.Next)
	for _, m := range r.Missing {
		row("  missing", "%d to %d: %s", m.First, m.Last, m.Reason)
	}
	for _, p := range r.Problems {
		row("  problem", "%s", p)
	}
	_ = t.Flush()
}
