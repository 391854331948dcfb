if [ -d /run/systemd/system ]; then
    running=$(systemctl list-units --plain --no-legend 'brakeline-tx_*' 2>/dev/null | cut -d' ' -f1 || true)
    if [ -n "$running" ]; then
        echo "brakeline-agent: a package transaction is going on ($running)." >&2
        echo "brakeline-agent: what to do: wait until it has ended, then try again" >&2
        exit 1
    fi
    systemctl disable --quiet --now brakeline-agent.service brakeline-helper.socket || true
    systemctl stop brakeline-helper.service || true
    rm -f /run/motd.d/brakeline /run/brakeline/restart.json
else
    systemctl disable --quiet brakeline-agent.service brakeline-helper.socket || true
fi
