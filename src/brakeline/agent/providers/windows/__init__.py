"""Windows: programs by Windows Installer or silently, Windows Update, winget; each a provider. Start at `detect`.

`provider`: programs that the endpoint's owner lists (`listed`); `wua_provider`; `winget_provider`. Pure readers and
decisions beside them. What touches Windows is behind two ports, `box` and `wua_driver`; `real`, `registry`, `stamps`
are theirs on the real system, `fake` and `fake_winget` ship too. Nothing here was run on Windows itself: MSI is tried
in wine, the rest on recordings and made-up answers (`docs/explanation/windows.md`).
"""
