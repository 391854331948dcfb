"""The console: server-rendered pages over the services. It owns no table and decides nothing.

Promises: every screen is one typed view-model (`views`, `views_change`) rendered by one template; everything works
as plain links and real forms when no script runs; live regions are morphed, so a press or a focus survives an
update; missing or old data is shown as such; a page never does what the API cannot.
Calls: the services on the application's state, through the port `screens.Screens` (real: `desk.Desk`; twin for
`/_ui` and browser tests: `showroom.Showroom`). Start with `routes.build_console`, then `views`, then `templates/`.
"""
