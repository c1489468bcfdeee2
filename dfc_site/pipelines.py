"""The pipelines of the durable engine: name → stages → step functions. The only room that sees all apps.

A stage's `expand` says which steps it has when it opens; only the functions named here can ever run.
"""

from django.utils.translation import gettext_lazy as _

from dfc_site import export
from mirrors import policies, remove, replicate
from mirrors.checks import old_checks, probe, recheck, repair, survey, tell
from mirrors.deposits import adopt_all, bundle, redescribe, reserve, tidy_drafts, tidy_uploads
from mirrors.registry import end_service, examinations
from releases import catalogue, commit, seal, tidy, watch
from releases.builds import compare, confirm, execute, explain, inspect, lock
from releases.ingest import bring_in, derive, ledger, repository
from releases.ingest import probe as ingest_probe
from releases.ingest import run as ingest_run
from releases.jobs.registry import Pipeline, Stage
from releases.reviews import review_diff
from releases.statements import sign
from swarm import decide, describe, forget, letters

BUILD = Pipeline(
    name="build",
    stages=(
        Stage(
            "environment", _("Environment"), lock.expand_environment, ("releases.builds.lock.prepare_environment",)
        ),
        Stage("build", _("Build twice"), execute.expand_builds, ("releases.builds.execute.run_build",)),
        Stage("inspect", _("Inspect"), inspect.expand_inspect, ("releases.builds.inspect.inspect_release",)),
        Stage("compare", _("Compare"), compare.expand_compare, ("releases.builds.compare.compare_builds",)),
        Stage("explain", _("Explain"), explain.expand_explain, ("releases.builds.explain.explain_difference",)),
        Stage("diff", _("What changed"), review_diff.expand_diff, ("releases.reviews.review_diff.make_diff",)),
    ),
    on_cancelled=compare.cancelled,
)
DIFF = Pipeline(
    name="diff",
    stages=(Stage("diff", _("What changed"), review_diff.expand_diff, ("releases.reviews.review_diff.make_diff",)),),
)
SEALING = ("releases.seal.seal_output", "releases.seal.seal_source", "releases.seal.seal_environment")
PUBLISH = Pipeline(
    name="publish",
    stages=(
        Stage("seal", _("Seal"), seal.expand_seal, SEALING),
        Stage("places", _("Places"), replicate.expand_places, ("mirrors.replicate.prepare_deposit",)),
        Stage("reserve", _("Reserve DOI"), reserve.expand_reserve, ("mirrors.deposits.reserve.reserve_doi",)),
        Stage("bundle", _("Source bundle"), bundle.expand_bundle, ("mirrors.deposits.bundle.make_bundle",)),
        Stage("confirm", _("Confirm"), confirm.expand_confirm, ("releases.builds.confirm.confirm_build",)),
        Stage("attest", _("Attest"), sign.expand_attest, ("releases.statements.sign.attest_release",)),
        Stage("torrents", _("Torrents"), describe.expand_torrents, ("swarm.describe.make_torrent",)),
        Stage("deposit", _("Deposit"), replicate.expand_deposits, ("mirrors.replicate.await_deposit",)),
        Stage(
            "verify",
            _("Verify"),
            export.expand_verify,
            ("mirrors.verify.require_verified", "dfc_site.export.validate_description"),
        ),
        Stage("lasting", _("Deposit for ever"), replicate.expand_lasting, ("mirrors.replicate.await_lasting",)),
        Stage("commit", _("Make public"), commit.expand_commit, ("releases.commit.make_public",)),
        Stage("doi", _("Register DOI"), redescribe.expand_dois, ("mirrors.deposits.redescribe.bring_doi",)),
        Stage(
            "records", _("Other records"), redescribe.expand_others, ("mirrors.deposits.redescribe.describe_others",)
        ),
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
OPEN_DEPOSIT = Pipeline(
    name="open-deposit",
    stages=(
        Stage("deposit", _("Deposit"), replicate.expand_await, ("mirrors.replicate.await_deposit",)),
        Stage("publish", _("Publish"), replicate.expand_open, ("mirrors.replicate.publish_deposit",)),
    ),
)
CATALOGUE = Pipeline(
    name="catalogue",
    stages=(
        Stage("write", _("Write"), export.expand_write, ("dfc_site.export.write_edition",)),
        Stage("point", _("Make current"), export.expand_point, ("dfc_site.export.move_pointer",)),
    ),
)
DESCRIBE = Pipeline(
    name="describe",
    stages=(
        Stage("look", _("Look"), redescribe.expand_look, ("mirrors.deposits.redescribe.look_at",)),
        Stage(
            "describe",
            _("Describe"),
            redescribe.expand_stale,
            ("mirrors.deposits.redescribe.describe_deposit", "mirrors.deposits.redescribe.bring_doi"),
        ),
        Stage("ask", _("Ask the staff"), redescribe.expand_ask, ("mirrors.deposits.redescribe.ask_staff",)),
    ),
)
DESCRIBE_STALE = Pipeline(
    name="describe-stale",
    stages=(Stage("look", _("Look"), redescribe.expand_sweep, ("mirrors.deposits.redescribe.sweep_stale",)),),
)
REPAIR = Pipeline(
    name="repair",
    stages=(Stage("repair", _("Put again"), repair.expand_repair, ("mirrors.checks.repair.repair_copy",)),),
)
TELL = Pipeline(
    name="tell", stages=(Stage("mail", _("Letter"), tell.expand_tell, ("mirrors.checks.tell.tell_curators",)),)
)
PROBE = Pipeline(
    name="probe", stages=(Stage("probe", _("Probe"), probe.expand_probes, ("mirrors.checks.probe.probe_once",)),)
)
RECHECK = Pipeline(
    name="recheck", stages=(Stage("queue", _("Queue"), recheck.expand_queue, ("mirrors.checks.recheck.queue_due",)),)
)
RECHECK_COPY = Pipeline(
    name="recheck-copy",
    stages=(Stage("verify", _("Verify"), recheck.expand_copy, ("mirrors.checks.recheck.recheck_copy",)),),
)
REREAD = Pipeline(
    name="reread",
    stages=(Stage("queue", _("Queue"), recheck.expand_reread, ("mirrors.checks.recheck.queue_deposit",)),),
)
SWEEP = Pipeline(
    name="sweep",
    stages=(Stage("verify", _("Verify"), recheck.expand_sweep, ("mirrors.checks.recheck.sweep_mirror",)),),
)
SURVEY = Pipeline(
    name="survey",
    stages=(Stage("survey", _("Survey"), survey.expand_survey, ("mirrors.checks.survey.survey_mirror",)),),
)
END_SERVICE = Pipeline(
    name="end-service",
    stages=(
        Stage("mail", _("Letter"), end_service.expand_letter, ("mirrors.registry.end_service.tell_operator",)),
        Stage("end", _("Out of service"), end_service.expand_end, ("mirrors.registry.end_service.end_service",)),
    ),
)
OLD_CHECKS = Pipeline(
    name="old-checks",
    stages=(Stage("move", _("Move"), old_checks.expand_move, ("mirrors.checks.old_checks.move_old_checks",)),),
)
FOLLOW_POLICY = Pipeline(
    name="follow-policy",
    stages=(Stage("follow", _("Follow"), policies.expand_follow, ("mirrors.policies.follow_policies",)),),
)
REMOVE_DEPOSIT = Pipeline(
    name="remove-deposit",
    stages=(Stage("remove", _("Remove"), remove.expand_remove, ("mirrors.remove.remove_deposit",)),),
)
ADOPT = Pipeline(
    name="adopt",
    stages=(
        Stage("open", _("Open"), adopt_all.expand_open, ("mirrors.deposits.adopt_all.open_mirror",)),
        Stage("adopt", _("Adopt"), adopt_all.expand_adopt, ("mirrors.deposits.adopt_all.adopt_version",)),
    ),
)
EXAMINED = ("mirrors.registry.examinations.examine_mirror",)
EXAMINE = Pipeline(name="examine", stages=(Stage("examine", _("Examine"), examinations.expand_one, EXAMINED),))
EXAMINE_ALL = Pipeline(
    name="examine-all", stages=(Stage("examine", _("Examine"), examinations.expand_all, EXAMINED),)
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
FORGET_NODES = Pipeline(
    name="forget-nodes",
    stages=(Stage("forget", _("Forget"), forget.expand_forget, ("swarm.forget.forget_due",)),),
)
INGEST_PROBE = Pipeline(
    name="ingest-probe",
    stages=(
        Stage("list", _("List"), derive.expand_list, ("releases.ingest.derive.list_files",)),
        Stage("probe", _("Probe"), ingest_probe.expand_probe, ("releases.ingest.probe.probe_files",)),
    ),
    on_cancelled=ingest_run.cancelled,
)
INGEST_FETCH = Pipeline(
    name="ingest-fetch",
    stages=(
        Stage("fetch", _("Fetch"), bring_in.expand_fetch, ("releases.ingest.bring_in.fetch_files",)),
        Stage("ledger", _("Ledger"), ledger.expand_ledger, ("releases.ingest.ledger.store_ledger",)),
    ),
    on_cancelled=ingest_run.cancelled,
)
INGEST_REPOSITORY = Pipeline(
    name="ingest-repository",
    stages=(Stage("keep", _("Clone"), repository.expand_keep, ("releases.ingest.repository.keep_repository",)),),
    on_cancelled=ingest_run.cancelled,
)
WATCH = Pipeline(name="watch", stages=(Stage("look", _("Look"), watch.expand_watch, ("releases.watch.watch_once",)),))
TIDY_STORAGE = Pipeline(
    name="tidy-storage", stages=(Stage("tidy", _("Tidy"), tidy.expand_tidy, ("releases.tidy.tidy_storage",)),)
)
TIDY_MIRRORS = Pipeline(
    name="tidy-mirrors",
    stages=(
        Stage("tidy", _("Tidy"), tidy_uploads.expand_tidy, ("mirrors.deposits.tidy_uploads.tidy_mirror",)),
        Stage(
            "drafts", _("Drafts left behind"), tidy_drafts.expand_tidy, ("mirrors.deposits.tidy_drafts.tidy_mirror",)
        ),
    ),
)
INGESTS = (INGEST_PROBE, INGEST_FETCH, INGEST_REPOSITORY, WATCH)
MIRRORS = (
    DESCRIBE,
    DESCRIBE_STALE,
    REPAIR,
    TELL,
    PROBE,
    RECHECK,
    RECHECK_COPY,
    REREAD,
    SWEEP,
    SURVEY,
    END_SERVICE,
    OLD_CHECKS,
    FOLLOW_POLICY,
    REMOVE_DEPOSIT,
    TIDY_MIRRORS,
    ADOPT,
    EXAMINE,
    EXAMINE_ALL,
)
NODES = (NODE_LETTER, REGISTER_NODE, DECIDE_NODE, FORGET_NODES)
PIPELINES = (BUILD, DIFF, PUBLISH, DEPOSIT, OPEN_DEPOSIT, CATALOGUE, TIDY_STORAGE, *INGESTS, *MIRRORS, *NODES)
