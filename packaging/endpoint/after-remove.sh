if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    systemctl reset-failed brakeline-agent.service brakeline-helper.service brakeline-helper.socket 2>/dev/null || true
fi
