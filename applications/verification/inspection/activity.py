"""What a PDF does by itself when it is opened or clicked; no library says so on its own.

The activities: "javascript", "launch", "embedded_file", "media", "form" (a form that is a program,
XFA) and "automatic" (something starts without a click).
"""

from __future__ import annotations

from collections.abc import Mapping

import pikepdf

Entries = Mapping[str, pikepdf.Object]

_ACTIONS = {
    "/JavaScript": "javascript",
    "/Launch": "launch",
    "/RichMediaExecute": "media",
    "/Rendition": "media",
}
_SUBTYPES = {
    "/FileAttachment": "embedded_file",
    "/RichMedia": "media",
    "/Movie": "media",
    "/Sound": "media",
    "/3D": "media",
}
# Where a PDF may go in itself without a click; the other named actions print or save.
_NAMED_PAGES = frozenset({"/NextPage", "/PrevPage", "/FirstPage", "/LastPage"})


def activity_of(entries: Entries) -> set[str]:
    """Return what a dictionary, or a stream's, makes its document do.

    A plain mapping, because each look into an object of pikepdf costs as much as all of this.
    """
    found = set()
    if action := _ACTIONS.get(_name(entries, "/S")):
        found.add(action)
    if subtype := _SUBTYPES.get(_name(entries, "/Subtype")):
        found.add(subtype)
    is_file = _name(entries, "/Type") == "/EmbeddedFile"
    if is_file or isinstance(entries.get("/EF"), pikepdf.Dictionary):
        found.add("embedded_file")
    if isinstance(entries.get("/XFA"), (pikepdf.Array, pikepdf.Stream)):
        found.add("form")
    # A font or another resource may be called AA; then there are no actions in it.
    additional = entries.get("/AA")
    if isinstance(additional, pikepdf.Dictionary) and any(map(_starts, _values(additional))):
        found.add("automatic")
    return found


def opening_activity(root: pikepdf.Object) -> set[str]:
    """Return what the document starts as it is opened."""
    action = root.get("/OpenAction")
    is_harmless = not isinstance(action, pikepdf.Dictionary) or _is_navigation(action)
    return set() if is_harmless else {"automatic"}


def _name(entries: Entries | pikepdf.Object, key: str) -> str:
    value = entries.get(key)
    try:
        return str(value) if isinstance(value, pikepdf.Name) else ""
    except UnicodeDecodeError:
        return ""  # names may be any bytes; those that mean something are ASCII


def _values(node: pikepdf.Object) -> list[pikepdf.Object]:
    return [value for _, value in node.items()]


def _starts(node: pikepdf.Object) -> bool:
    """Tell whether it is an action that does more than to go to a page."""
    is_action = isinstance(node, pikepdf.Dictionary) and bool(_name(node, "/S"))
    return is_action and not _is_navigation(node)


def _is_navigation(action: pikepdf.Object) -> bool:
    """Tell whether the action goes to a page of its own document, and nothing follows it."""
    if "/Next" in action:
        return False
    kind = _name(action, "/S")
    return kind == "/GoTo" or (kind == "/Named" and _name(action, "/N") in _NAMED_PAGES)
