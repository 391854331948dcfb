# Units that enrol.sh wrote before there was a package would hide the packaged ones; set aside, nothing is lost.
for unit in brakeline-agent.service brakeline-helper.service brakeline-helper.socket; do
    old="/etc/systemd/system/$unit"
    if [ -f "$old" ] && [ ! -L "$old" ]; then mv -f "$old" "$old.before-package"; fi
done
