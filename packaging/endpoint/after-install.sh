# The user by the file that tells systemd of it as well; the directories by hand, because images are made without /proc.
# The launcher's can be read by all: releases are executed out of it by their own user.
systemd-sysusers brakeline.conf
install -d -m 0755 /etc/brakeline /var/lib/brakeline-launcher
install -d -m 0700 /var/lib/brakeline-helper
install -d -o brakeline -g brakeline -m 0700 /var/lib/brakeline
# The release that came along becomes the first one, unless the launcher has one already. Never a reason to fail. A
# launcher that runs has what it needs, and only one may write what it knows.
if ! { [ -d /run/systemd/system ] && systemctl is-active --quiet brakeline-agent.service; }; then
    @PYTHON@ -I /usr/lib/brakeline/stub.py adopt /usr/lib/brakeline/agent.tar \
        || echo "brakeline-agent: the release that came along could not be put in place; enrolment tries again" >&2
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # Enrolled means running. Who does not want that masks the units; then this does nothing.
    # A package transaction has a unit of its own and lives on; the helper ends by itself when it is idle.
    if [ -e /etc/brakeline/agent.json ]; then
        systemctl enable --quiet brakeline-helper.socket brakeline-agent.service || true
        systemctl start brakeline-helper.socket || true
        systemctl restart brakeline-agent.service || true
    fi
elif [ -e /etc/brakeline/agent.json ]; then
    systemctl enable --quiet brakeline-helper.socket brakeline-agent.service || true
fi
