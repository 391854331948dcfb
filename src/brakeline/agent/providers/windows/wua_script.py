"""The one script that speaks with Windows Update: PowerShell over COM, nothing but what every Windows has.

It does one thing a run (search, install, uninstall), decides nothing, and answers with one JSON document in a file in
UTF-8, so that neither a console's code page nor a wrapper's banner gets into it. `wua_answers` reads that, strictly.
Made after the documented interfaces and *not run on the real system*.
"""

from __future__ import annotations

from typing import Final

VERBS: Final = ("search", "install", "uninstall")
SCRIPT: Final = r"""
param([string]$Verb, [string]$Request, [string]$Answer)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
function Number($x) { if ($null -eq $x) { 0 } else { [long]$x } }
function Told($u) {
  $b = $u.InstallationBehavior
  @{ Identity = @{ UpdateID = [string]$u.Identity.UpdateID; RevisionNumber = Number $u.Identity.RevisionNumber }
     Title = [string]$u.Title; Type = Number $u.Type; MaxDownloadSize = Number $u.MaxDownloadSize
     KBArticleIDs = @($u.KBArticleIDs | ForEach-Object { [string]$_ })
     SupersededUpdateIDs = @($u.SupersededUpdateIDs | ForEach-Object { [string]$_ })
     Categories = @($u.Categories | ForEach-Object { @{ CategoryID = [string]$_.CategoryID } })
     IsHidden = [bool]$u.IsHidden; IsInstalled = [bool]$u.IsInstalled; EulaAccepted = [bool]$u.EulaAccepted
     IsUninstallable = [bool]$u.IsUninstallable; RebootRequired = [bool]$u.RebootRequired
     InstallationBehavior = @{ CanRequestUserInput = [bool]$b.CanRequestUserInput; Impact = Number $b.Impact
                               RebootBehavior = Number $b.RebootBehavior } }
}
function Results($updates, $result) {
  for ($i = 0; $i -lt $updates.Count; $i++) {
    $u = $updates.Item($i)
    $r = $result.GetUpdateResult($i)
    @{ id = [string]$u.Identity.UpdateID; revision = Number $u.Identity.RevisionNumber
       code = Number $r.ResultCode; hresult = Number $r.HResult }
  }
}
function Value($path, $name) { try { (Get-ItemProperty -LiteralPath $path -Name $name).$name } catch { $null } }
function Policy {
  $wu = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
  $ux = 'HKLM:\SOFTWARE\Microsoft\WindowsUpdate\UX\Settings'
  @{ NoAutoUpdate = Number (Value "$wu\AU" 'NoAutoUpdate'); UseWUServer = Number (Value "$wu\AU" 'UseWUServer')
     AUOptions = Number (Value "$wu\AU" 'AUOptions'); WUServer = [string](Value $wu 'WUServer')
     DisableWindowsUpdateAccess = Number (Value $wu 'DisableWindowsUpdateAccess')
     SetDisableUXWUAccess = Number (Value $wu 'SetDisableUXWUAccess')
     PauseUpdatesExpiryTime = [string](Value $ux 'PauseUpdatesExpiryTime')
     PauseQualityUpdatesEndTime = [string](Value $ux 'PauseQualityUpdatesEndTime')
     DeferQualityUpdatesPeriodInDays = Number (Value $wu 'DeferQualityUpdatesPeriodInDays') }
}
$out = @{ format = 1; verb = $Verb; error = $null; begun = $false }
try {
  $asked = Get-Content -LiteralPath $Request -Raw -Encoding UTF8 | ConvertFrom-Json
  $session = New-Object -ComObject Microsoft.Update.Session
  $session.ClientApplicationID = 'Brakeline'
  $searcher = $session.CreateUpdateSearcher()
  $searcher.Online = [bool]$asked.online
  $searcher.IncludePotentiallySupersededUpdates = $false
  $found = $searcher.Search($(if ($Verb -eq 'search') { 'IsInstalled=0 or IsInstalled=1' } else { 'IsHidden=0' }))
  $out.result_code = Number $found.ResultCode
  if ($Verb -eq 'search') {
    $out.updates = @($found.Updates | ForEach-Object { Told $_ })
    $out.policy = Policy
    $out.restart = [bool](New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired
    $out.busy = [bool]$session.CreateUpdateInstaller().IsBusy
  } else {
    $mine = New-Object -ComObject Microsoft.Update.UpdateColl
    $left = @{}
    foreach ($w in $asked.updates) { $left["$($w.id).$($w.revision)"] = $true }
    foreach ($u in $found.Updates) {
      $key = "$($u.Identity.UpdateID).$($u.Identity.RevisionNumber)".ToLowerInvariant()
      if ($left.ContainsKey($key)) { [void]$mine.Add($u); $left.Remove($key) }
    }
    $out.missing = @($left.Keys)
    $out.results = @()
    if ($left.Count -eq 0) {
      $installer = $session.CreateUpdateInstaller()
      $installer.ForceQuiet = $true
      $installer.AllowSourcePrompts = $false
      $installer.Updates = $mine
      if ($Verb -eq 'install') {
        $downloader = $session.CreateUpdateDownloader()
        $downloader.Updates = $mine
        $got = $downloader.Download()
        $out.downloads = @(Results $mine $got)
      }
      if ($Verb -eq 'uninstall' -or $got.ResultCode -eq 2) {
        $out.begun = $true
        $done = if ($Verb -eq 'install') { $installer.Install() } else { $installer.Uninstall() }
        $out.restart = [bool]$done.RebootRequired
        $out.results = @(Results $mine $done)
      }
    }
  }
} catch {
  $out.error = @{ hresult = Number $_.Exception.HResult; message = [string]$_.Exception.Message }
}
[IO.File]::WriteAllText($Answer, (ConvertTo-Json $out -Depth 6 -Compress), (New-Object Text.UTF8Encoding $false))
"""
