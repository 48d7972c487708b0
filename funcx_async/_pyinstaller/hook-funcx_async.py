# ruff: noqa: N999  # PyInstaller wants this name
"""Read by PyInstaller for applications that import funcx_async."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

hiddenimports = collect_submodules("funcx_async", on_error="ignore")  # most are imported lazily
datas = [
    *copy_metadata("funcx-async"),  # its version goes into requests
    *copy_metadata("dill"),  # its version is compared with that of endpoints
    *collect_data_files("funcx_async"),  # the local service's status page
]
module_collection_mode = {"funcx_async.serialize": "pyz+py"}  # workers get source of it
