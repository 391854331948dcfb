"""One function a verb of the command line. Imports are late on purpose: the resident agent pays for what it uses."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

from brakeline import __version__
from brakeline.agent import config as configuration
from brakeline.agent import limits
from brakeline.core.errors import Invalid
from brakeline.protocol import codec

CERTIFICATE_BYTES_MAX = 64 * 1024
NAMES = {"helper": "BrakelineHelper", "agent": "BrakelineAgent"}  # of services of Windows


def run(options: Namespace) -> int:
    """The resident agent, until SIGTERM or SIGINT."""
    from brakeline.agent import wiring

    config = configuration.load(Path(options.config))
    limits.be_modest()
    limits.restrain(limits.RESIDENT)
    loop = wiring.build(config, Path(options.config), Path(options.state))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.interrupt())
    wiring.end_with_launcher()
    wiring.log(f"brakeline-agent {__version__}: endpoint {config.endpoint_id} of {config.server_url}")
    loop.run()
    return loop.exit_code


def scan(options: Namespace) -> int:
    """A child of `run`, or by hand: look at this machine."""
    from brakeline.agent import content, stamp, wiring
    from brakeline.agent import scan as scanning
    from brakeline.agent.clock import SystemClock

    _as_child()
    state = Path(options.state)
    (state / "work").mkdir(parents=True, exist_ok=True, mode=0o700)
    clock = SystemClock()
    given = content.load()
    stamped = stamp.take(given.looker(__version__))
    task = scanning.Task(
        options.base, options.sequence, __version__, stamped, clock.monotonic_s(), options.full,
        wiring.manager_version,
    )  # fmt: skip
    known = partial(scanning.acknowledged, state)
    summary = scanning.scan(wiring.provider(given.rules, known), state, task, wiring.software(state / "work"))
    sys.stdout.buffer.write(codec.encode(summary) + b"\n")
    return 0


def plan(options: Namespace) -> int:
    """A child of `run`: the exact transaction for a candidate."""
    from brakeline.agent import scan as scanning
    from brakeline.agent import wiring
    from brakeline.agent.helper_client import HelperClient
    from brakeline.agent.providers.model import Planned
    from brakeline.protocol.messages import Candidate, Conffiles

    _as_child()
    candidate = codec.decode(Candidate, (Path(options.state) / "work" / "candidate.json").read_bytes())
    config = configuration.load(Path(options.config))
    if candidate.undoes:
        answer = scanning.plan_back(HelperClient(config.helper_socket), candidate)
    else:
        answer = scanning.plan(wiring.provider(), candidate, config.allow_removals, Conffiles(options.conffiles))
    kind = "planned" if isinstance(answer, Planned) else "refused"
    sys.stdout.buffer.write(codec.encode({kind: answer}) + b"\n")
    return 0


def _as_child() -> None:
    limits.be_modest()
    limits.idle_io()
    limits.restrain(limits.SCAN)


def helper(options: Namespace) -> int:
    """The root helper, until it has been idle for a while; on Windows until its standard input or its service ends."""
    if sys.platform == "win32":
        from brakeline.agent import windows_serving

        return windows_serving.helper(Path(options.config), Path(options.helper_state), options.socket, options.service)
    from brakeline.agent import helper_socket as serving

    return serving.serve(Path(options.config), Path(options.helper_state), Path(options.socket))


def service(options: Namespace) -> int:
    """Helper or agent as a service of Windows; elsewhere the package brings its units."""
    if sys.platform != "win32":
        raise Invalid("services of Windows are on Windows; here systemd keeps the helper (brakeline-helper.socket)")
    from brakeline.agent import windows_service

    if options.what != "install":
        said = getattr(windows_service, options.what)(NAMES[options.of])
    elif options.of == "helper":
        said = windows_service.install(Path(options.config), Path(options.helper_state))
    else:
        said = windows_service.install_agent(options.account, options.command, Path(options.state), options.may_write)
    print(said)
    return 0


def host(options: Namespace) -> int:
    """What the service of launcher and agent is: a program that keeps theirs running."""
    if sys.platform != "win32":
        raise Invalid("here systemd keeps the launcher (brakeline-agent.service)")
    from brakeline.agent import windows_hosting

    return windows_hosting.host(options.command, Path(options.state))


def transaction(options: Namespace) -> int:
    """One package transaction, in a unit of its own."""
    from brakeline.agent import transaction as runner

    return runner.main([options.transaction_id, "--helper-state", options.helper_state])


def enrol(options: Namespace) -> int:
    """Make a key, show the token, remember the answer."""
    from brakeline.agent import enrol as enrolment
    from brakeline.agent import wiring
    from brakeline.agent.clock import SystemClock

    state_dir = Path(options.state)
    if sys.platform == "win32" and options.helper_socket and not options.user:
        raise Invalid("say with --user which account the agent runs as: the helper listens to SYSTEM and to it alone")
    config = configuration.Config(
        server_url=options.server.rstrip("/"),
        ca_pem=_read_certificate(Path(options.ca)),
        endpoint_id="",
        cell_key="",
        helper_socket=options.helper_socket,
        agent_user=options.user or "brakeline",
    )
    path, token = Path(options.config), enrolment.given_token(options.token)
    _proxy_of_enrolment(options, config)
    wish = enrolment.Wish(config, path, state_dir, token, options.force, __version__)
    done = enrolment.enrol(wish, SystemClock(), lambda identity: wiring.open_cell(config, path, state_dir, identity))
    if options.user:
        enrolment.hand_over(state_dir, options.user)
    mode = "" if done.helper_socket else " It can be assessed, not patched: there is no root helper here."
    print(f"enrolled as {done.endpoint_id} in cell {done.cell}, region {done.region}.{mode}")
    return 0


def _proxy_of_enrolment(options: Namespace, config: configuration.Config) -> None:
    """Before anything is dialled: what was named; else what is written already; else what the environment names."""
    from brakeline.agent import proxy_file
    from brakeline.protocol.proxy import FILE

    path, text, whence = Path(options.config), options.proxy, ""
    fresh = options.force or not path.exists()
    if not text and fresh and not path.with_name(FILE).exists():
        text, whence = proxy_file.of_environment(config.server_url), ", as https_proxy of this environment says"
    if not text:
        return
    try:
        proxy = proxy_file.given(text)
    except Invalid as e:
        if options.proxy:
            raise
        return print(f"https_proxy of this environment is not used: {e.detail}", file=sys.stderr)
    proxy_file.save(path, proxy, options.user)
    if proxy is not None:
        print(f"proxy {proxy.shown}{whence}; to change it: brakeline-agent proxy")


def proxy(options: Namespace) -> int:
    """The proxy by which the cell is reached: show it, write another one and try it, or take it away."""
    from brakeline.agent import proxy_file, transport

    path = Path(options.config)
    config, file = configuration.load(path), proxy_file.ProxyFile(path)
    if not options.proxy:
        known = file.now()
        print(file.problem or (known.shown if known else "none: the cell is dialled directly"))
        print(f"To change it: {proxy_file.NEXT}", file=sys.stderr)
        return 0
    wanted = proxy_file.given(options.proxy)
    proxy_file.save(path, wanted, config.agent_user)
    print(f"written: {wanted.shown if wanted else 'no proxy'}. It counts from the next check-in on.")
    said = transport.tried(config.server_url, config.ca_pem, wanted)
    print(said or "tried: the cell is reached this way", file=sys.stderr if said else sys.stdout)
    return 0


def _read_certificate(path: Path) -> str:
    try:
        text = path.read_bytes()[:CERTIFICATE_BYTES_MAX].decode("ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise Invalid(f"the authority's certificate {path} cannot be read: {e}") from None
    return text


def status(options: Namespace) -> int:
    """How the agent is, in words or as JSON."""
    config = configuration.load(Path(options.config))
    path = Path(options.state) / "status.json"
    try:
        shown = json.loads(path.read_bytes())
    except (OSError, ValueError):
        shown = {
            "endpoint_id": config.endpoint_id,
            "connection": "the agent has not run yet, or you may not read its state",
        }
    shown = {"server": config.server_url, "cell": config.cell, "region": config.region, **shown}
    if options.json:
        print(json.dumps(shown))
    else:
        for key, value in shown.items():
            print(f"{key.replace('_', ' '):20} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def defer(options: Namespace) -> int:
    """Somebody at this machine puts a restart off; the helper takes it at its next look, within a minute."""
    if sys.platform == "win32":
        raise Invalid("no order restarts this system, so there is nothing to put off")
    from brakeline.agent import desk
    from brakeline.agent.clock import boot_id

    run_dir = Path(options.run)
    shown = desk.shown(run_dir, boot_id())
    if shown is None:
        print("No restart waits for you. You are told by wall, at login and on your desktop when one does.")
        return 1
    print(shown.get("text", ""))
    if not shown.get("left"):
        print("Nothing is left to put it off: save your work.", file=sys.stderr)
        return 1
    try:
        desk.ask(run_dir)
    except OSError as e:
        raise Invalid(f"it cannot be asked for: {e.strerror}: {e.filename}; try again as root") from None
    print("Asked for. Within a minute or two everybody here is told until when; it counts for whoever is logged in.")
    return 0


def version(_: Namespace) -> int:
    """The agent's version."""
    print(__version__)
    return 0
