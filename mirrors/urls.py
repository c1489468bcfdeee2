"""`/d/<dataset>/<version|latest>/…`: suffixes before the file itself."""

from django.urls import path

from mirrors import redirect

VERSION = "d/<str:dataset>/<str:number>"

urlpatterns = [
    path(f"{VERSION}/SHA256SUMS", redirect.sums, name="sums"),
    path(f"{VERSION}/<path:path>.sha256", redirect.sha256, name="file-sha256"),
    path(f"{VERSION}/<path:path>.mirrors.json", redirect.mirrors, name="file-mirrors"),
    path(f"{VERSION}/<path:path>", redirect.file, name="file"),
]
