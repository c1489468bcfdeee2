"""The pipelines of the durable engine: name → stages → step functions. The only room that sees all apps.

A stage's `expand` says which steps it has when it opens; only the functions named here can ever run.
"""

from django.utils.translation import gettext_lazy as _

from mirrors import replicate, verify
from releases import build, bundle, commit, confirm, reserve, seal
from releases.jobs.registry import Pipeline, Stage
from swarm import describe

BUILD = Pipeline(
    name="build",
    stages=(
        Stage("environment", _("Environment"), build.expand_environment, ("releases.build.prepare_environment",)),
        Stage("build", _("Build twice"), build.expand_builds, ("releases.build.run_build",)),
        Stage("compare", _("Compare"), build.expand_compare, ("releases.build.compare_builds",)),
    ),
    on_cancelled=build.cancelled,
)
PUBLISH = Pipeline(
    name="publish",
    stages=(
        Stage("seal", _("Seal"), seal.expand_seal, ("releases.seal.seal_output", "releases.seal.seal_source")),
        Stage("reserve", _("Reserve DOI"), reserve.expand_reserve, ("releases.reserve.reserve_doi",)),
        Stage("bundle", _("Source bundle"), bundle.expand_bundle, ("releases.bundle.make_bundle",)),
        Stage("confirm", _("Confirm"), confirm.expand_confirm, ("releases.confirm.confirm_build",)),
        Stage("torrents", _("Torrents"), describe.expand_torrents, ("swarm.describe.make_torrent",)),
        Stage("deposit", _("Deposit"), replicate.expand_deposits, ("mirrors.replicate.await_deposit",)),
        Stage("verify", _("Verify"), verify.expand_require, ("mirrors.verify.require_verified",)),
        Stage("commit", _("Make public"), commit.expand_commit, ("releases.commit.make_public",)),
    ),
)
DEPOSIT = Pipeline(
    name="deposit",
    stages=(
        Stage("prepare", _("Prepare"), replicate.expand_prepare, ("mirrors.replicate.prepare_deposit",)),
        Stage("put", _("Copy"), replicate.expand_put, ("mirrors.replicate.put_replica",)),
        Stage("verify", _("Verify"), replicate.expand_verify, ("mirrors.verify.verify_deposit_replica",)),
        Stage("publish", _("Publish"), replicate.expand_publish, ("mirrors.replicate.publish_deposit",)),
    ),
)
PIPELINES = (BUILD, PUBLISH, DEPOSIT)
