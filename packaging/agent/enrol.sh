#!/bin/sh
# Brakeline: puts launcher and agent on this machine and enrols it with the cell at @SERVER_URL@.
#
# What it does, all of it undone by `--uninstall`:
#   - checks root, Python 3.11 or newer, systemd;
#   - downloads the kit (stub, launcher, a first release of the agent, the root of trust) and verifies its SHA-256;
#   - makes the system user brakeline, /usr/lib/brakeline, /etc/brakeline, /var/lib/brakeline{,-launcher,-helper};
#   - installs three units: brakeline-agent.service (the launcher, which runs the agent unprivileged),
#     brakeline-helper.socket/.service (root, on demand);
#   - makes a key on this machine (it never leaves) and enrols with the token.
# It installs no package, opens no port and changes nothing else. Until a policy says otherwise, the machine is only
# assessed, never changed. Running it again is safe: it repairs what is installed and keeps identity and release;
# newer releases come by the launcher, ring by ring.
# Where the package brakeline-agent is installed, that has put programs, user and units in place: only the root of trust
# and the identity come from here.
set -eu

SERVER_URL='@SERVER_URL@'
KIT_SHA256='@KIT_SHA256@'
SERVER_NAME='cell.brakeline.internal'
LIB=/usr/lib/brakeline
ETC=/etc/brakeline
UNITS=/etc/systemd/system
LAUNCHER=/var/lib/brakeline-launcher
PYTHON=/usr/bin/python3
TOKEN=''
FORCE=''
PACKAGED=''
RESTARTS=''
PROXY=''
[ ! -e /usr/lib/systemd/system/brakeline-agent.service ] || PACKAGED=yes # only a package puts it there
[ ! -x "$LIB/python/brakeline-python" ] || PYTHON="$LIB/python/brakeline-python"

say() { printf 'brakeline: %s\n' "$*"; }
fail() { printf 'brakeline: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf 'brakeline: what to do: %s\n' "$2" >&2; exit "${3:-1}"; }

usage() {
    cat <<'USAGE'
usage: enrol.sh --token et_…          enrol this machine (or, enrolled already: repair what is installed); the path of a
                                      file with the token will do, which stands in no list of processes
       enrol.sh --token et_… --force  give it a new identity, for instance after its disk was cloned
       enrol.sh --uninstall           remove launcher and agent and everything they made
options: --server URL                 reach the cell under another address
         --proxy http://HOST:PORT     reach it by this proxy, with USER:PASSWORD@ before HOST if it wants them; or the
                                      path of a file with that in it; or none. Without it: https_proxy, if that is set
         --allow-restarts N           let the cell restart this machine as a canary, N times a day at most (0 = never)
USAGE
}

while [ $# -gt 0 ]; do
    case "$1" in
        --token) [ $# -ge 2 ] || fail "--token needs a value"; TOKEN=$2; shift 2 ;;
        --server) [ $# -ge 2 ] || fail "--server needs a value"; SERVER_URL=${2%/}; shift 2 ;;
        --proxy) [ $# -ge 2 ] || fail "--proxy needs a value"; PROXY=$2; shift 2 ;;
        --force) FORCE=--force; shift ;;
        --allow-restarts) [ $# -ge 2 ] || fail "--allow-restarts needs a number"; RESTARTS=$2; shift 2 ;;
        --uninstall) TOKEN=uninstall; shift ;;
        -h|--help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option: $1" "" 2 ;;
    esac
done

[ "$(id -u)" = 0 ] || fail "this must run as root." "put sudo before sh: … | sudo sh -s -- --token et_…"

uninstall() {
    [ -z "$PACKAGED" ] || fail "a package was installed here." "apt-get purge brakeline-agent (or: dnf remove brakeline-agent)"
    if [ -d /run/systemd/system ]; then
        running=$(systemctl list-units --plain --no-legend 'brakeline-tx_*' 2>/dev/null | cut -d' ' -f1 || true)
        [ -z "$running" ] || fail "a package transaction is going on ($running)." "wait until it has ended, then try again"
        systemctl disable --now brakeline-agent.service brakeline-helper.socket brakeline-helper.service 2>/dev/null || true
    fi
    rm -f "$UNITS/brakeline-agent.service" "$UNITS/brakeline-helper.socket" "$UNITS/brakeline-helper.service"
    rm -f /usr/bin/brakeline-agent
    rm -rf "$LIB" "$ETC" "$LAUNCHER" /var/lib/brakeline /var/lib/brakeline-helper \
        /var/cache/brakeline /run/brakeline
    if id brakeline >/dev/null 2>&1; then userdel brakeline 2>/dev/null || true; fi
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    say "removed. In the console, retire the endpoint so that it is not counted as silent."
}

# Of root's terms (warning, deferrals, deadline) only the number is written; a file that makes no sense is left alone.
allow_restarts() {
    "$PYTHON" -I - "$ETC/restart.json" "$1" <<'PY' || exit 2
import json, os, sys

path, number = sys.argv[1:]
try:
    with open(path, "rb") as f:
        terms = json.loads(f.read())
except FileNotFoundError:
    terms = {}
except (OSError, ValueError):
    terms = None
if not isinstance(terms, dict):
    sys.exit(
        f"brakeline: {path} cannot be read as JSON; what it says about people at this machine would be lost\n"
        "brakeline: what to do: mend or remove it, then run the same line again"
    )
terms["restarts_a_day"] = int(number)
with open(path + ".new", "w") as f:
    f.write(json.dumps(terms) + "\n")
    f.flush()
    os.fsync(f.fileno())
os.chmod(path + ".new", 0o644)
os.replace(path + ".new", path)
PY
}

# Neither the token nor a proxy's password is an argument: everybody may read those of every process.
enrolled() {
    shown=$PROXY
    case "$PROXY" in ''|none|/*) ;; *) shown=/dev/fd/3 ;; esac
    known=-
    case "$(brakeline-agent enrol --help 2>/dev/null)" in *stdin*) ;; *) known=$TOKEN ;; esac # of an older package
    brakeline-agent enrol --server "$SERVER_URL" --token "$known" --ca "$ETC/ca.pem" --user brakeline \
        --helper-socket /run/brakeline/helper.sock $FORCE ${shown:+--proxy "$shown"} 3<<PROXY <<TOKEN
$PROXY
PROXY
$TOKEN
TOKEN
}

if [ "$TOKEN" = uninstall ]; then uninstall; exit 0; fi
case "$RESTARTS" in
    ''|[0-4]) ;;
    *) fail "--allow-restarts takes a number from 0 to 4, not $RESTARTS." "" 2 ;;
esac
[ -n "$TOKEN" ] || { usage >&2; fail "no token given." "copy the whole line from the console's page *Add endpoint*" 2; }
case "$TOKEN" in /*)
    file=$TOKEN
    { read -r TOKEN < "$file" || [ -n "$TOKEN" ]; } 2>/dev/null || fail "no token can be read in $file." "" 2 ;;
esac
[ -x "$PYTHON" ] || fail "there is no python3." "install it: apt-get install --no-install-recommends python3"
"$PYTHON" -I -c 'import sys, ssl; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || fail "python3 is older than 3.11 or has no ssl ($("$PYTHON" -V 2>&1))." \
        "use Debian 12, Ubuntu 24.04 or newer, or the package that brings its own Python"
[ -d /run/systemd/system ] || fail "systemd does not run here." \
    "without it nothing can run the launcher; use a machine with systemd"

say "downloading launcher and agent from $SERVER_URL"
mkdir -p "$LIB" "$ETC"
cat > "$ETC/ca.pem" <<'PEM'
@CA_PEM@
PEM
# By Python, because it must be here anyway: under the cell's fixed name, trusting only the cell's authority. Dates of
# certificates are not looked at, so that a wrong clock is no obstacle; the checksum proves what arrived.
BRAKELINE_PROXY="$PROXY" "$PYTHON" -I - "$SERVER_URL" "$SERVER_NAME" "$ETC/ca.pem" "$LIB" "$ETC" "$KIT_SHA256" "$PACKAGED" <<'PY' || exit 4
import base64, hashlib, http.client, io, json, os, ssl, sys, tarfile
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

url, name, ca, lib, etc, wanted, packaged = sys.argv[1:]
given = os.environ.pop("BRAKELINE_PROXY", "")  # not an argument: those everybody may read
parts = urlsplit(url)
if parts.scheme != "https" or not parts.hostname:
    sys.exit(f"brakeline: the server's address must look like https://HOST:PORT, not {url}")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
context.load_verify_locations(ca)


class Connection(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname=name)


def proxy():
    """What was given, else what is written here already, else what the environment names: as the agent judges it."""
    text = given
    try:
        with open(os.path.join(etc, "proxy.json")) as f:
            text = text or json.load(f)["proxy"]
    except (OSError, ValueError, KeyError, TypeError):
        host, named = parts.hostname, getproxies_environment()
        here = host == "localhost" or host.startswith("127.") or host == "::1"
        if not text and not here and not proxy_bypass_environment(host, named):
            text = named.get("https", "")
            text = text if "://" in text or not text else f"http://{text}"
            text = text if text.startswith("http://") else ""
    if text.startswith("/"):
        with open(text) as f:
            text = f.readline().strip()
    if text in ("", "none"):
        return None
    found = urlsplit(text)
    if found.scheme != "http" or not found.hostname:
        raise ValueError("a proxy is written http://HOST:PORT, or the path of a file with that in it")
    return found.hostname, found.port or 80, unquote(found.username or ""), unquote(found.password or "")


def kit(way):
    port = parts.port or 443
    if way is None:
        connection = Connection(parts.hostname, port, timeout=60)
    else:
        host, proxy_port, user, password = way
        connection = Connection(host, proxy_port, timeout=60)
        known = base64.b64encode(f"{user}:{password}".encode()).decode()
        connection.set_tunnel(parts.hostname, port, {"Proxy-Authorization": f"Basic {known}"} if user else {})
    connection.request("GET", "/agent/kit.tar")
    answer = connection.getresponse()
    return answer, answer.read(128 * 1024 * 1024)


def fetched():
    """By the proxy, if there is one, else directly; the checksum proves what arrived."""
    try:
        way = proxy()
    except (OSError, ValueError) as e:
        sys.exit(f"brakeline: the proxy cannot be used: {e}\nbrakeline: what to do: give another --proxy, or --proxy none")
    tried = []
    for one in [way, None] if way else [None]:
        try:
            return kit(one)
        except (OSError, http.client.HTTPException) as e:
            tried.append(f"by the proxy {one[0]}:{one[1]}: {e}" if one else f"directly: {e}" if way else str(e))
    hint = "check the proxy (user, password, what it lets through) and the address" if way else "check the address and that no firewall is in between (is there a proxy? --proxy http://HOST:PORT)"
    sys.exit(
        f"brakeline: {url} cannot be reached: {'; '.join(tried)}\n"
        f"brakeline: what to do: {hint}, then run the same line again"
    )


answer, data = fetched()
if answer.status != 200:
    sys.exit(f"brakeline: the server answered {answer.status} {answer.reason} instead of the kit")
if hashlib.sha256(data).hexdigest() != wanted:
    sys.exit(
        "brakeline: the kit that arrived is not the one that this script was made for; nothing was installed\n"
        "brakeline: what to do: the server has a newer one meanwhile, or somebody is in between: fetch this script again"
    )
places = {"root.json": etc} if packaged else {"stub.py": lib, "launcher.pyz": lib, "agent.tar": lib, "root.json": etc}
with tarfile.open(fileobj=io.BytesIO(data)) as tar:
    for file, folder in places.items():
        path = os.path.join(folder, file)
        with open(path + ".new", "wb") as f:
            f.write(tar.extractfile(file).read())
            f.flush()
            os.fsync(f.fileno())
        os.chmod(path + ".new", 0o644)
        os.replace(path + ".new", path)
PY
if [ -z "$PACKAGED" ]; then
    printf '#!/bin/sh\nexec /usr/bin/python3 -I %s exec "$@"\n' "$LIB/stub.py" > /usr/bin/brakeline-agent
    chmod 0755 /usr/bin/brakeline-agent
fi

id brakeline >/dev/null 2>&1 \
    || useradd --system --user-group --home-dir /var/lib/brakeline --no-create-home --shell /usr/sbin/nologin brakeline \
    || fail "the system user brakeline could not be made." "make it by hand, then run the same line again"
install -d -o brakeline -g brakeline -m 0700 /var/lib/brakeline
install -d -o root -g root -m 0700 /var/lib/brakeline-helper
systemctl stop brakeline-agent.service 2>/dev/null || true # only one may write what the launcher knows
# With another identity, maybe of another cell, all of that belongs to the old one.
[ -z "$FORCE" ] || rm -rf "$LAUNCHER"
install -d -o root -g root -m 0755 "$LAUNCHER"
"$PYTHON" -I "$LIB/stub.py" adopt "$LIB/agent.tar" \
    || fail "the first release could not be put in place." "see the line above; then run the same line again"

if [ -z "$PACKAGED" ]; then
cat > "$UNITS/brakeline-agent.service" <<'UNIT'
@UNIT_AGENT@
UNIT
cat > "$UNITS/brakeline-helper.socket" <<'UNIT'
@UNIT_HELPER_SOCKET@
UNIT
cat > "$UNITS/brakeline-helper.service" <<'UNIT'
@UNIT_HELPER@
UNIT
fi
systemctl daemon-reload
[ -z "$RESTARTS" ] || allow_restarts "$RESTARTS"

say "enrolling"
status=0
enrolled || status=$?
case $status in
    0) ;;
    6) say "it keeps its identity and its release" ;;
    *) exit "$status" ;;
esac

systemctl enable -q brakeline-helper.socket brakeline-agent.service
systemctl restart brakeline-helper.socket
systemctl restart brakeline-agent.service

n=0
until brakeline-agent status --json 2>/dev/null | grep -q '"connection": "connected"'; do
    n=$((n + 1))
    [ "$n" -le 30 ] || fail "the agent runs but has not checked in within 30 s." "look at: journalctl -u brakeline-agent"
    sleep 1
done
say "done: this machine checks in. 'brakeline-agent status' says how it is; in the console it is on the page Endpoints."
