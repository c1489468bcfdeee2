from django.urls import path

from dfc_site.api import attestations

urlpatterns = [
    path("attestations/", attestations.submit, name="attestations"),
    path("attestations/<str:sha256>.json", attestations.envelope, name="attestation"),
    path("versions/<str:dataset>/<str:number>/attestations/", attestations.of_version, name="version-attestations"),
    path("rebuilders/", attestations.rebuilders, name="rebuilders"),
    path("rebuild.py", attestations.rebuild_script, name="rebuild-script"),
]
