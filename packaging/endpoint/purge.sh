# Everything that it made: identity, state, what the launcher keeps, and the user to whom nothing belongs any more.
rm -rf /etc/brakeline /var/lib/brakeline /var/lib/brakeline-helper /var/lib/brakeline-launcher /var/cache/brakeline /run/brakeline
rm -f /etc/systemd/system/brakeline-*.before-package
if getent passwd brakeline >/dev/null && command -v userdel >/dev/null; then userdel brakeline 2>/dev/null || true; fi
