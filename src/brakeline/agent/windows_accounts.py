"""Accounts and access on Windows: who asks by a pipe, who owns it, who may open a folder. Imported nowhere else.

Who asks is found by taking on that caller's identity for a moment, in this thread and at no more than *identification*;
a thread that could not be given back its own identity ends the process. What is decided is in `access`.
*Not run on the real system*: in wine there is one account, and access lists are kept without being obeyed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from ctypes import wintypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brakeline.agent import access
from brakeline.agent.files import below, leads_away
from brakeline.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

assert sys.platform == "win32"

TOKEN_QUERY, TOKEN_USER, OWNER, DACL, PROTECTED, KERNEL_OBJECT = 8, 1, 1, 4, 0x80000000, 6
NOT_REVERTED: Final = 70  # exit code
_api = ctypes.WinDLL("advapi32", use_last_error=True)
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_pointer = ctypes.c_void_p
_kernel.GetCurrentThread.restype = wintypes.HANDLE
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.LocalFree.argtypes = [_pointer]
_api.ImpersonateNamedPipeClient.argtypes = [wintypes.HANDLE]
_api.OpenThreadToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.BOOL, _pointer]
_api.GetTokenInformation.argtypes = [wintypes.HANDLE, ctypes.c_int, _pointer, wintypes.DWORD, _pointer]
_api.ConvertSidToStringSidW.argtypes = [_pointer, _pointer]
_api.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    _pointer,
    _pointer,
]
_api.GetSecurityInfo.argtypes = [wintypes.HANDLE, ctypes.c_int, wintypes.DWORD, *[_pointer] * 5]
_api.SetFileSecurityW.argtypes = [wintypes.LPCWSTR, wintypes.DWORD, _pointer]
_api.LookupAccountNameW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR, *[_pointer] * 5]


class Attributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("size", wintypes.DWORD), ("descriptor", _pointer), ("inherit", wintypes.BOOL))


@contextmanager
def attributes(sddl: str) -> Iterator[Attributes]:
    """For whatever is made with it inside of the block."""
    descriptor = _pointer()
    convert = _api.ConvertStringSecurityDescriptorToSecurityDescriptorW
    if not convert(sddl, 1, ctypes.byref(descriptor), None):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        yield Attributes(ctypes.sizeof(Attributes), descriptor, False)
    finally:
        _kernel.LocalFree(descriptor)


def caller_of(pipe: int) -> str:
    """The account of whoever has written to this pipe; OSError if it cannot be told."""
    if not _api.ImpersonateNamedPipeClient(pipe):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        token = wintypes.HANDLE()
        if not _api.OpenThreadToken(_kernel.GetCurrentThread(), TOKEN_QUERY, True, ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            return _user_of(token)
        finally:
            _kernel.CloseHandle(token)
    finally:
        if not _api.RevertToSelf():
            os._exit(NOT_REVERTED)  # nothing more may be done under a borrowed identity


def _user_of(token: wintypes.HANDLE) -> str:
    size = wintypes.DWORD()
    _api.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
    data = ctypes.create_string_buffer(max(1, size.value))
    if not _api.GetTokenInformation(token, TOKEN_USER, data, size, ctypes.byref(size)):
        raise ctypes.WinError(ctypes.get_last_error())
    return _text(ctypes.cast(data, ctypes.POINTER(_pointer))[0])


def owner_of(handle: int) -> str:
    """Who owns this pipe."""
    owner, descriptor = _pointer(), _pointer()
    error = _api.GetSecurityInfo(
        handle, KERNEL_OBJECT, OWNER, ctypes.byref(owner), None, None, None, ctypes.byref(descriptor)
    )
    if error:
        raise ctypes.WinError(error)
    try:
        return _text(owner)
    finally:
        _kernel.LocalFree(descriptor)


def sid_of(account: str) -> str:
    """Of an account by its name, or as it stands; "" = there is none of that name."""
    if access.is_sid(account):
        return account
    if account.upper().startswith(access.SERVICES):
        return access.service_sid(account[len(access.SERVICES) :])
    sid, domain, use = ctypes.create_string_buffer(256), ctypes.create_unicode_buffer(512), wintypes.DWORD()
    size, length = wintypes.DWORD(256), wintypes.DWORD(512)
    found = _api.LookupAccountNameW(
        None, account, sid, ctypes.byref(size), domain, ctypes.byref(length), ctypes.byref(use)
    )
    return _text(ctypes.cast(sid, _pointer)) if found else ""


def protect(folder: Path, sddl: str) -> None:
    """This folder, and whatever is made in it from now on, may be opened by those accounts alone, its owner too.

    Never a link: whoever has laid it beforehand keeps it, and may let it lead elsewhere afterwards.
    """
    if leads_away(folder):
        raise Invalid(f"{folder} is a link: remove it, or name the folder that it leads to, then run the same again")
    with attributes(sddl) as made:
        if not _api.SetFileSecurityW(str(folder), OWNER | DACL | PROTECTED, made.descriptor):
            raise ctypes.WinError(ctypes.get_last_error(), str(folder))


def protect_all(folder: Path, sddl: str) -> None:
    """This folder with what is in it already. What a link leads to stays as it is."""
    protect(folder, sddl)
    for path in below(folder):
        protect(path, sddl)


def hand_over(state_dir: Path, account: str) -> None:
    """Give the agent's state to the account that it runs as."""
    sid = sid_of(account)
    if not sid:
        raise Invalid(f"there is no account {account} here: make it first, or name a service's own (NT SERVICE\\NAME)")
    protect_all(state_dir, access.agent_folder(sid))


def _text(sid: object) -> str:
    text = wintypes.LPWSTR()
    if not _api.ConvertSidToStringSidW(sid, ctypes.byref(text)):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        return str(text.value)
    finally:
        _kernel.LocalFree(text)
