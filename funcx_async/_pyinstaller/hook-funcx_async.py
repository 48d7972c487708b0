# ruff: noqa: N999  # PyInstaller wants this name
"""Read by PyInstaller for applications that import funcx_async."""

from PyInstaller.utils.hooks import collect_submodules, copy_metadata

hiddenimports = collect_submodules("funcx_async", on_error="ignore")  # most are imported lazily
datas = copy_metadata("funcx-async")  # its version goes into requests
module_collection_mode = {"funcx_async.serialize": "pyz+py"}  # workers get source of it
