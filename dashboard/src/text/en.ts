// Every word the page says; those of all traffic are in en.traffic.ts. A
// translation is files of the same shape.

import { traffic } from "./en.traffic";

/** wordFor looks a word up; a key from outside may be "constructor". */
export function wordFor(words: Record<string, string>, key: string): string | undefined {
  return Object.hasOwn(words, key) ? words[key] : undefined;
}

const plural = (count: number, one: string, many: string): string => (count === 1 ? one : many);

export const t = {
  language: "en",
  locale: "en-GB",

  product: "Eider",
  title: (site: string): string => `${site} · Eider`,
  skip: "Skip to the numbers",

  site: {
    choose: "Site",
    archived: "Archived",
    archivedHint: "Nothing new is recorded for it; what it has stays.",
  },

  share: { below: (share: string): string => `< ${share}`, above: (share: string): string => `> ${share}` },

  /** What the site or its visitors leave unsaid: never a 0. */
  unknown: {
    sign: "–",
    spoken: "not known",
    of: (name: string): string => `${name} not known`,
    why: "What is not known, and why",
    about: "About these numbers",
    aboutOf: (title: string): string => `of ${title}`,
  },

  numbers: {
    label: "Numbers of the period",
    visitors: "Visitors",
    pageviews: "Page views",
    bounceRate: "Bounce rate",
    visitDuration: "Visit duration",
    visits: (count: string, one: boolean): string => `${count} ${one ? "visit" : "visits"}`,
    viewsPerVisit: (count: string): string => `${count} views per visit`,
    unknownHint: "Can’t be computed for this period",
    change: {
      up: (amount: string): string => `up ${amount}`,
      down: (amount: string): string => `down ${amount}`,
      same: "unchanged",
      points: (count: number): string => `${count} ${plural(count, "pt", "pts")}`,
    },
    yesterday: (value: string): string => `${value} yesterday`,
    was: (value: string, range: string): string => `Was ${value} in ${range}`,
    hint: {
      visitors: "Unique visitors, told apart without cookies. The identity changes daily.",
      pageviews: "Pages that people were served, bots excluded",
      bounceRate: "Visits with one page view and nothing else",
      visitDuration: "From the first page view of a visit to its last, on average",
    },
  },

  period: {
    label: "Period",
    today: { short: "Today", long: "Today" },
    "7d": { short: "7 d", long: "Last 7 days" },
    "30d": { short: "30 d", long: "Last 30 days" },
    "90d": { short: "90 d", long: "Last 90 days" },
    "12mo": { short: "12 mo", long: "Last 12 months" },
    all: { short: "All", long: "All time" },
    yesterday: "Yesterday",
    dates: "Choose dates",
    from: "From",
    to: "To",
    apply: "Show",
    earlier: "Earlier",
    later: "Later",
    compared: (range: string): string => `compared with ${range}`,
    zone: (zone: string): string => `Times in ${zone}`,
  },

  interval: {
    label: "Interval",
    hour: "Hour",
    day: "Day",
    week: "Week",
    month: "Month",
  },

  chart: {
    label: "Visitors and page views over time",
    help: "Use the left and right arrow keys to read single values.",
    form: "Show as",
    chart: "Chart",
    table: "Table",
    when: { hour: "Hour", day: "Day", week: "Week", month: "Month" },
    weekOf: (day: string): string => `Week of ${day}`,
    partial: "so far",
    marked: "Visitors told apart anew",
    future: "not yet",
    show: (series: string): string => `Show ${series.toLowerCase()}`,
    nothing: "No visits in this period",
    nothingYet: "A new one appears here within two seconds.",
    nothingHint: "Choose other days, or another site.",
  },

  breakdown: {
    pages: { title: "Pages", column: "Page" },
    sources: { title: "Sources", column: "Source" },
    countries: { title: "Countries", column: "Country" },
    devices: { title: "Devices", column: "Device" },
    browsers: { title: "Browsers", column: "Browser" },
    os: { title: "Systems", column: "Operating system" },
    visitors: "Visitors",
    pageviews: "Views",
    pageviewsLong: "Page views",
    more: "Show more",
    moreOf: (title: string): string => `Show more ${title.toLowerCase()}`,
    less: "Show fewer",
    lessOf: (title: string): string => `Show fewer ${title.toLowerCase()}`,
    empty: "Nothing in this period",
    noGeoIP: "To see countries, name a GeoIP file in the Caddyfile: geoip, below eider.",
    unknown: "Unknown",
    direct: "Direct / None",
    device: { desktop: "Desktop", mobile: "Mobile", tablet: "Tablet", tv: "TV", console: "Console", wearable: "Wearable" } as Record<string, string>,
  },

  traffic,

  hosts: {
    label: "Unknown hosts",
    title: (count: string, one: boolean): string => (one ? "1 host is seen that is no site." : `${count} hosts are seen that are no sites.`),
    open: "Show them",
    openOne: "Show it",
    lead: "A proxy was asked for these names and counts nothing for them. Add those that are yours; what others made up can stay.",
    columns: { host: "Host", requests: "Requests", seen: "Last seen" },
    unit: (one: boolean): string => (one ? "request" : "requests"),
    anyHost: "HOST",
    add: "Add",
    adding: "Adding…",
    addHost: (host: string): string => `Add ${host}`,
    more: (count: string): string => `Show ${count} more`,
    added: (host: string): string => `${host} is a site now. Its requests count in a few seconds.`,
    show: "Show",
    showHost: (host: string): string => `Show ${host}`,
    refused: {
      unauthorized: (host: string): string =>
        `From here no site can be added, only on the aggregator’s own machine: “eider site add ${host}”.`,
      forbidden: (host: string): string => `You may not add sites. On the aggregator’s own machine: “eider site add ${host}”.`,
      site_exists: (host: string): string => `${host} is a name of a site already. The list will know in a moment.`,
      other: (host: string, reason: string): string => `${host} was not added: ${reason}`,
      offline: (host: string): string => `${host} was not added: the aggregator does not answer. Try again.`,
      signedOut: (host: string): string => `${host} was not added: a sign-in is asked for. Reload the page.`,
    },
  },

  live: {
    now: (count: number): string => plural(count, "visitor now", "visitors now"),
    window: (minutes: number): string => `People with a page view in the last ${minutes} ${plural(minutes, "minute", "minutes")}`,
    connecting: "Connecting",
    offline: "Offline",
    retrying: "Not answering",
    announce: (visitors: string | null, pageviews: string): string =>
      `${visitors === null ? "visitors not known" : `${visitors} visitors`}, ${pageviews} page views`,
  },

  incomplete: {
    title: (count: string, one: boolean): string =>
      one ? "1 event of this period was not recorded." : `${count} events of this period were not recorded.`,
    lead: "The numbers below are lower than what really happened.",
    details: "When, why, and what to do",
    unit: (one: boolean): string => (one ? "event" : "events"),
    columns: { when: "When", count: "Events", reason: "Why", advice: "What to do" },
    reason: {
      ring_full: "More requests arrived at once than the recorder could take in.",
      max_size: "The queue had reached max_size while the aggregator did not fetch from it.",
      disk_full: "The proxy’s disk had no room left above reserve_free.",
      queue_error: "The queue could not be written.",
      drop_oldest: "The queue had reached max_size and made room by giving up its oldest events.",
      corruption: "Files of the queue were damaged.",
      undecodable: "The aggregator could not read what the proxy had sent.",
      no_longer_kept: "The aggregator was restored from a backup and asked for events that the proxy had already let go.",
    } as Record<string, string>,
    otherReason: (reason: string): string => `The reason given is “${reason}”.`,
    advice: {
      ring_full: "A few after a burst are harmless. If it goes on, the proxy needs more CPU or a faster disk.",
      max_size: "Keep the aggregator running, or raise max_size in the Caddyfile.",
      disk_full: "Free space on the proxy’s disk, or lower reserve_free in the Caddyfile.",
      queue_error: "Look for errors of “eider” in Caddy’s log: they name the path and the cause.",
      drop_oldest: "Keep the aggregator running, or raise max_size in the Caddyfile.",
      corruption: "Check the proxy’s disk. “caddy eider queue” shows what is damaged.",
      undecodable: "It is kept in the folder dead-letters. Use the same version on both sides.",
      no_longer_kept: "Nothing: it is counted and done with.",
    } as Record<string, string>,
    otherAdvice: "Look into the log of the proxy and of the aggregator for this time.",
  },

  identity: {
    title: (when: string): string => `Visitors were told apart anew from ${when} on.`,
    titleOften: (count: string, last: string): string => `Visitors were told apart anew ${count} times, last from ${last} on.`,
    hint: "The keys that identities are made with were lost. Who came before and after is counted as two visitors.",
  },

  edges: {
    queued: (count: string, one: boolean): string => `${count} ${one ? "event waits" : "events wait"} in its queue.`,
    silent: {
      title: (name: string, time: string): string => `${name} was last heard from ${time} ago.`,
      hint: "Is the proxy running, and does it reach the aggregator? What it records meanwhile is kept and added later.",
    },
    lagging: {
      title: (name: string, time: string): string => `${name} is ${time} behind.`,
      hint: "What it recorded arrives late and is added to its own time; nothing is lost.",
    },
    fast: {
      title: (name: string, time: string): string => `The clock of ${name} is ${time} fast.`,
      hint: "Times are corrected on receipt. Set the clock right, for example with NTP.",
    },
    slow: {
      title: (name: string, time: string): string => `The clock of ${name} is ${time} slow.`,
      hint: "Times are corrected on receipt. Set the clock right, for example with NTP.",
    },
  },

  waiting: {
    title: "Waiting for the first visit",
    noSite: "No site has announced itself yet. Put this into your Caddyfile, reload Caddy, and open a page of your site.",
    archived: (site: string, id: string): string =>
      `${site} is archived and never had a visit. “eider site edit ${id} --archived=false” takes it up again.`,
    noVisit: (site: string): string => `${site} is registered. Open one of its pages: it appears here within two seconds.`,
    caddyfile: "Caddyfile",
    copy: "Copy",
    copied: "Copied",
    note: "This page notices by itself.",
  },

  failure: {
    offlineTitle: "The aggregator does not answer",
    offlineHint: "Trying again by itself. Recording goes on: what the proxy sees meanwhile waits in its queue.",
    refusedTitle: "The aggregator can’t answer this",
    unexpectedTitle: "The answer was not understood",
    unexpectedHint: "Reload the page; if it stays so, the page and the aggregator are of different versions.",
    unknownSite: (site: string): string => `There is no site “${site}”`,
    unknownSiteHint: "It may have been renamed. Choose one of these:",
    asOf: (time: string): string => `Numbers as of ${time}`,
    retry: "Try again",
    signedOutTitle: "A sign-in is asked for",
    signedOutHint: "What stands before the aggregator wants to know who you are. Reload the page to sign in; recording goes on.",
    reload: "Reload",
  },

  theme: {
    label: "Theme",
    system: "System",
    light: "Light",
    dark: "Dark",
    current: (name: string): string => `Theme: ${name}`,
  },

  keys: {
    open: "Keyboard shortcuts",
    title: "Keyboard shortcuts",
    close: "Close",
    enabled: "Use single-key shortcuts",
    list: {
      d: "Today",
      e: "Yesterday",
      w: "Last 7 days",
      m: "Last 30 days",
      q: "Last 90 days",
      y: "Last 12 months",
      a: "All time",
      c: "Choose dates",
      "←": "Earlier",
      "→": "Later",
      t: "Chart or table",
      "?": "This list",
    } as Record<string, string>,
  },

  footer: {
    counted: "Counted at the proxy: no cookies, no IP address stored.",
  },

  duration: {
    seconds: (n: number): string => `${n}s`,
    minutes: (n: number): string => `${n}m`,
    hours: (n: number): string => `${n}h`,
    days: (n: number): string => `${n}d`,
  },
};

export type Catalogue = typeof t;
