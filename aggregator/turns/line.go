package turns

import "time"

// ticket is a statement in line. All but ready and came are guarded by Turns.mu
// until ready is closed.
type ticket struct {
	ask     Ask
	number  uint64 // in the order of coming
	came    time.Time
	began   time.Time     // zero = waits
	refused time.Duration // not zero: come back after it
	gone    bool          // its owner waits no more
	ready   chan struct{} // closed when began or refused is set
}

// line is one class: its slots and who waits for them.
type line struct {
	slots, running int
	limit, waiting int
	usual          time.Duration // what a statement takes
	virtual        time.Duration // the account that began last, before it was charged
	sites          map[string]*account
}

// account is what a site, or a client of it, was given.
type account struct {
	used             time.Duration
	waiting, running int

	// Of a site: its clients, and the one that began last, before it was charged.
	clients map[string]*account
	virtual time.Duration
	// Of a client: its tickets, the oldest first.
	line []*ticket
}

// join opens the account of name, or goes on with it. Who was away begins where
// the others are.
func join(accounts map[string]*account, name string, virtual time.Duration) *account {
	a := accounts[name]
	if a == nil {
		a = &account{clients: map[string]*account{}, used: virtual}
		accounts[name] = a
	}
	if a.idle() {
		a.used = max(a.used, virtual)
	}
	return a
}

// maxIdle bounds the accounts that are kept for those who were given more than
// others and are away: who comes under ever new names gets no more than these.
const maxIdle = 1024

func (l *line) push(k *ticket) {
	site := join(l.sites, k.ask.Site, l.virtual)
	client := join(site.clients, k.ask.Client, site.virtual)
	client.line = append(client.line, k)
	l.waiting, site.waiting, client.waiting = l.waiting+1, site.waiting+1, client.waiting+1
}

func (l *line) accounts(k *ticket) (site, client *account) {
	site = l.sites[k.ask.Site]
	return site, site.clients[k.ask.Client]
}

// remove takes a waiting ticket out.
func (l *line) remove(k *ticket) {
	site, client := l.accounts(k)
	for i, other := range client.line {
		if other == k {
			client.line = append(client.line[:i:i], client.line[i+1:]...)
			break
		}
	}
	l.waiting, site.waiting, client.waiting = l.waiting-1, site.waiting-1, client.waiting-1
	l.tidy(k)
}

// next is the ticket whose turn it is; somebody waits.
func (l *line) next() *ticket {
	return smallest(smallest(l.sites).clients).line[0]
}

// smallest is the account of those who wait that was given least; of equal ones
// the one whose oldest ticket came first.
func smallest(accounts map[string]*account) *account {
	var best *account
	for _, a := range accounts {
		if a.waiting == 0 {
			continue
		}
		if best == nil || a.used < best.used || a.used == best.used && a.oldest() < best.oldest() {
			best = a
		}
	}
	return best
}

// oldest is the number of the ticket that would be next of an account.
func (a *account) oldest() uint64 {
	if len(a.line) > 0 {
		return a.line[0].number
	}
	return smallest(a.clients).line[0].number
}

// take lets a waiting ticket begin.
func (l *line) take(k *ticket) {
	site, client := l.accounts(k)
	client.line = client.line[1:]
	l.waiting, site.waiting, client.waiting = l.waiting-1, site.waiting-1, client.waiting-1
	l.running, site.running, client.running = l.running+1, site.running+1, client.running+1
	l.virtual, site.virtual = max(l.virtual, site.used), max(site.virtual, client.used)
	site.used, client.used = site.used+k.ask.Cost, client.used+k.ask.Cost
}

// end charges what a ticket took in the place of what was expected.
func (l *line) end(k *ticket, took time.Duration) {
	site, client := l.accounts(k)
	l.running, site.running, client.running = l.running-1, site.running-1, client.running-1
	site.used, client.used = site.used+took-k.ask.Cost, client.used+took-k.ask.Cost
	l.tidy(k)
}

// tidy closes the accounts of a ticket where they make no difference any more:
// nothing waits or runs, and whoever comes anew would begin with no less.
func (l *line) tidy(k *ticket) {
	site, client := l.accounts(k)
	if client.idle() && (client.used <= site.virtual || len(site.clients) > maxIdle) {
		delete(site.clients, k.ask.Client)
	}
	if site.idle() && (site.used <= l.virtual || len(l.sites) > maxIdle) {
		delete(l.sites, k.ask.Site)
	}
	if l.running == 0 && l.waiting == 0 { // nobody is there to be unfair to
		clear(l.sites)
		l.virtual = 0
	}
}

func (a *account) idle() bool { return a.waiting == 0 && a.running == 0 }

// longest is the newest ticket of whoever waits for most: the site's, and of
// it the client's. Of equal ones it is the newest of all.
func (l *line) longest() *ticket {
	var of *account
	for accounts := l.sites; len(accounts) > 0; accounts = of.clients {
		var most *account
		for _, a := range accounts {
			if most == nil || a.waiting > most.waiting || a.waiting == most.waiting && a.newest() > most.newest() {
				most = a
			}
		}
		of = most
		if len(of.line) > 0 {
			break
		}
	}
	return of.line[len(of.line)-1]
}

// newest is the number of an account's newest ticket; 0 = none waits.
func (a *account) newest() (n uint64) {
	if len(a.line) > 0 {
		n = a.line[len(a.line)-1].number
	}
	for _, c := range a.clients {
		n = max(n, c.newest())
	}
	return n
}
