"""The pipelines of the durable engine: name → stages → step functions. The only room that sees all apps.

A stage's `expand` says which steps it has when it opens; only the functions named here can ever run.
"""

from django.utils.translation import gettext_lazy as _

from dfc_site import export
from mirrors import replicate
from releases import build, bundle, catalogue, commit, confirm, reserve, seal
from releases.jobs.registry import Pipeline, Stage
from swarm import decide, describe, letters

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
        Stage(
            "verify",
            _("Verify"),
            export.expand_verify,
            ("mirrors.verify.require_verified", "dfc_site.export.validate_description"),
        ),
        Stage("commit", _("Make public"), commit.expand_commit, ("releases.commit.make_public",)),
        Stage("catalogue", _("Catalogue"), catalogue.expand_await, ("releases.catalogue.await_edition",)),
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
CATALOGUE = Pipeline(
    name="catalogue",
    stages=(
        Stage("write", _("Write"), export.expand_write, ("dfc_site.export.write_edition",)),
        Stage("point", _("Make current"), export.expand_point, ("dfc_site.export.move_pointer",)),
    ),
)
NODE_LETTER = Pipeline(
    name="node-letter", stages=(Stage("mail", _("Letter"), letters.expand_letter, ("swarm.letters.send_letter",)),)
)
REGISTER_NODE = Pipeline(
    name="register-node",
    stages=(
        Stage("check", _("Check again"), decide.expand_check, ("swarm.decide.check_again",)),
        Stage("mail", _("Letter"), letters.expand_letter, ("swarm.letters.send_letter",)),
        Stage("approve", _("Approve"), decide.expand_carry_out, ("swarm.decide.carry_out",)),
    ),
)
DECIDE_NODE = Pipeline(
    name="decide-node",
    stages=(
        Stage("mail", _("Letter"), letters.expand_letter, ("swarm.letters.send_letter",)),
        Stage("carry-out", _("Carry out"), decide.expand_carry_out, ("swarm.decide.carry_out",)),
    ),
)
PIPELINES = (BUILD, PUBLISH, DEPOSIT, CATALOGUE, NODE_LETTER, REGISTER_NODE, DECIDE_NODE)
