package conduct

import "strings"

// secrets are what nobody finds a link to: asking for them is enough, whatever
// the answer, since some sites answer everything with their front page.
var secrets = byLetter(
	"/.env", "/.git/", "/.git", "/.svn/", "/.hg/", "/.aws/", "/.ssh/", "/.htpasswd", "/.htaccess", "/.ds_store", "/.vscode/", "/.idea/",
	"/.npmrc", "/.dockercfg", "/.docker/", "/.kube/", "/.bash_history", "/id_rsa", "/etc/passwd", "/wp-config.php", "/../",
)

// machinery are entrances to programs. A site that runs the program answers
// them; who is told that there is nothing was guessing.
var machinery = byLetter(
	"/wp-login.php", "/wp-admin", "/wp-includes/", "/wp-content/plugins/", "/wp-json/wp/", "/xmlrpc.php", "/wlwmanifest.xml",
	"/phpinfo.php", "/phpmyadmin", "/pma/", "/adminer.php", "/eval-stdin.php", "/phpunit", "/shell.php", "/wso.php", "/alfa.php", "/c99.php",
	"/cgi-bin/", "/boaform/", "/hnap1", "/_ignition/", "/actuator/", "/server-status", "/telescope/requests", "/manager/html",
	"/solr/admin", "/druid/index", "/owa/auth", "/autodiscover/autodiscover", "/ecp/", "/geoserver/", "/jenkins/", "/vendor/",
	"/administrator/index.php", "/user/register/", "/setup.php", "/backup.zip", "/backup.sql", "/dump.sql", "/config.bak", "/database.sql",
)

// Probes reports whether a path was asked for by somebody who looks for holes.
// Servers that are told to go away may answer 400, 403, 404, 405 or 410.
func Probes(path string, status int) bool {
	refused := status >= 400 && status < 500 && status != 401 && status != 429
	for i := 0; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		rest := path[i:]
		if secrets.begin(rest) {
			return true
		}
		if refused && machinery.begin(rest) {
			return true
		}
	}
	return false
}

// secret reports whether a path is one that nobody finds a link to.
func secret(path string) bool { return Probes(path, 200) }

// letters are beginnings of paths by the byte after their slash, in lower case:
// there are none for most paths.
type letters [256][]string

func byLetter(list ...string) *letters {
	var l letters
	for _, s := range list {
		l[s[1]] = append(l[s[1]], s)
	}
	return &l
}

// begin reports whether s begins with one of them, in any case.
func (l *letters) begin(s string) bool {
	if len(s) < 4 {
		return false
	}
	for _, b := range l[lower(s[1])] {
		if len(s) >= len(b) && strings.EqualFold(s[:len(b)], b) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
