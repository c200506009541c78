package aggregator

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
)

// Config is eider.toml. Each key can also be given as an environment variable,
// EIDER_ and the key in upper case, which wins over the file; flags win over
// both. Secrets can also be read from a file that EIDER_…_FILE names.
type Config struct {
	// Data is the data directory, Listen the address of the API, the dashboard
	// and the edges.
	Data   string `toml:"data"`
	Listen string `toml:"listen"`
	// Insecure allows an address that is not loopback. There are no accounts:
	// whoever reaches it sees everything.
	Insecure bool `toml:"insecure"`
	// Hosts are the names, beside loopback's, by which the API is reached.
	Hosts []string `toml:"hosts"`
	// EdgeToken is what edges must show. Without one, one is made and kept in
	// DATA/edge_token.
	EdgeToken     string `toml:"edge_token"`
	EdgeTokenFile string `toml:"edge_token_file"`
	// TrustedProxies are networks and addresses of proxies before this server,
	// whose X-Forwarded-For is believed; default: this machine.
	TrustedProxies []string `toml:"trusted_proxies"`
	// RatePerAddress and RatePerSite bound what the collection endpoints take,
	// in messages a second; 0 = 100 and 20,000.
	RatePerAddress int `toml:"rate_per_address"`
	RatePerSite    int `toml:"rate_per_site"`
	// GeoIP is a country or city database in MaxMind's format, for what is
	// collected here.
	GeoIP string `toml:"geoip"`
	// DefaultTimeZone is the IANA zone of sites that register themselves.
	DefaultTimeZone string `toml:"default_time_zone"`
	// QueryMemory and QueryTemp bound what questions take in memory and on
	// disk, in bytes; QueryThreads is how many CPUs work on one, 0 = all.
	QueryMemory  int64 `toml:"query_memory"`
	QueryTemp    int64 `toml:"query_temp"`
	QueryThreads int   `toml:"query_threads"`
	// QueryTimeout bounds one question, with its waiting, such as "30s".
	QueryTimeout Duration `toml:"query_timeout"`
	// QueryLight and QueryHeavy are how many statements of each class run at
	// once, QueryWaiting is how many of each may wait; 0 = see package turns.
	QueryLight   int `toml:"query_light"`
	QueryHeavy   int `toml:"query_heavy"`
	QueryWaiting int `toml:"query_waiting"`
	// AnswerMemory bounds the answers that are kept, in bytes; 0 = 64 MiB.
	AnswerMemory int64 `toml:"answer_memory"`
	// SQLMemory and SQLTimeout bound one statement of people, in bytes and as
	// "30s"; two run at once. 0 = 256 MiB and 30 s.
	SQLMemory  int64    `toml:"sql_memory"`
	SQLTimeout Duration `toml:"sql_timeout"`
	// Seal closes days by itself: sorts their events, and derives visits and
	// rollups. SealDuty is the part of the time that it may take, in percent; 0 =
	// 25.
	Seal     bool `toml:"seal"`
	SealDuty int  `toml:"seal_duty"`
	// SpoolMaxSize and SpoolReserveFree bound the spool, in bytes: beyond them
	// edges keep their events.
	SpoolMaxSize     int64 `toml:"spool_max_size"`
	SpoolReserveFree int64 `toml:"spool_reserve_free"`

	now func() time.Time // the clock of the salts; nil = time.Now
}

// Duration is a time.Duration that is written as text.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Defaults of Config.
const (
	DefaultData   = "data"
	DefaultListen = "127.0.0.1:8787"
	envPrefix     = "EIDER_"
)

// LoadConfig reads the file, if there is one, and then the environment.
// A file that was named must exist; without a name, eider.toml in the current
// directory is read if it is there. A key that is not known is an error.
func LoadConfig(path string, env func(string) (string, bool)) (Config, error) {
	c := Config{Data: DefaultData, Listen: DefaultListen, Seal: true}
	named := path != ""
	if !named {
		path = "eider.toml"
	}
	meta, err := toml.DecodeFile(path, &c)
	switch {
	case err == nil:
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return c, fmt.Errorf("%s: there is no key %s", path, unknown[0])
		}
	case named || !errors.Is(err, os.ErrNotExist):
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := c.fromEnvironment(env); err != nil {
		return c, err
	}
	if c.EdgeToken == "" && c.EdgeTokenFile != "" {
		if c.EdgeToken, err = shared.ReadSecretFile(c.EdgeTokenFile); err != nil {
			return c, fmt.Errorf("edge token: %w", err)
		}
	}
	return c, nil
}

// fromEnvironment sets every key whose variable is there and not empty.
func (c *Config) fromEnvironment(env func(string) (string, bool)) error {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		if key == "" {
			continue // not for people
		}
		name := envPrefix + strings.ToUpper(key)
		text, ok := env(name)
		if !ok || text == "" {
			continue
		}
		if err := setField(v.Field(i), text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// A secret in the environment is newer than a file's.
		if name == envPrefix+"EDGE_TOKEN_FILE" {
			if direct, ok := env(envPrefix + "EDGE_TOKEN"); !ok || direct == "" {
				c.EdgeToken = ""
			}
		}
	}
	return nil
}

func setField(field reflect.Value, text string) error {
	switch p := field.Addr().Interface().(type) {
	case *string:
		*p = text
	case *[]string:
		*p = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		*p = v
	case *int64:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 0 {
			return errors.New("must be a number of bytes")
		}
		*p = v
	case *int:
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return errors.New("must be a number")
		}
		*p = v
	case *Duration:
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return errors.New(`must be a duration such as "30s"`)
		}
	default:
		panic("configuration key of type " + field.Type().String())
	}
	return nil
}

// Check refuses what can't work or would open the data to a network by
// accident.
func (c *Config) Check() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w: write it like %s", err, DefaultListen)
	}
	if c.Data == "" {
		return errors.New("data: a directory is needed")
	}
	if _, err := beacon.ParseProxies(c.TrustedProxies); err != nil {
		return err
	}
	if c.SealDuty < 0 || c.SealDuty > 100 {
		return errors.New("seal_duty: must be a number of percent, 1 to 100")
	}
	if !loopback(host) && !c.Insecure {
		return fmt.Errorf("listen: %s can be reached from the network, and there are no accounts yet: whoever reaches it "+
			"sees every site. Listen on %s and put a proxy with a login before it, or say --insecure if the network is yours",
			c.Listen, DefaultListen)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// loopback reports whether only this machine reaches the server.
func (c *Config) loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && loopback(host)
}

// hosts are the names by which the API may be asked: the configured ones, and
// the address that it listens on if that is one.
func (c *Config) hosts() []string {
	host, _, err := net.SplitHostPort(c.Listen)
	if addr, parseErr := netip.ParseAddr(host); err == nil && parseErr == nil && !addr.IsUnspecified() {
		return append([]string{host}, c.Hosts...)
	}
	return c.Hosts
}

// The layout of the data directory.
func (c *Config) stateDir() string       { return filepath.Join(c.Data, "state") }
func (c *Config) spoolDir() string       { return filepath.Join(c.Data, "spool") }
func (c *Config) lakeDir() string        { return filepath.Join(c.Data, "lake") }
func (c *Config) deadLettersDir() string { return filepath.Join(c.Data, "dead-letters") }
func (c *Config) erasuresDir() string    { return filepath.Join(c.Data, "erasures") }
func (c *Config) tempDir() string        { return filepath.Join(c.Data, "tmp") }
func (c *Config) sqlDir() string         { return filepath.Join(c.tempDir(), "sql") }
func (c *Config) tokenFile() string      { return filepath.Join(c.Data, "edge_token") }
func (c *Config) ownerFile() string      { return filepath.Join(c.Data, "owner_token") }
func (c *Config) saltsFile() string      { return filepath.Join(c.Data, "salts") }
func (c *Config) importKeyFile() string  { return filepath.Join(c.Data, "import_key") }

// Stores are the directories of what is true and of the events, for commands
// that fill a new data directory.
func (c *Config) Stores() (state, lake string) { return c.stateDir(), c.lakeDir() }

// ImportJob is where an import of logs keeps the salts of its visitors.
func (c *Config) ImportJob() string { return filepath.Join(c.Data, "import", "job") }
