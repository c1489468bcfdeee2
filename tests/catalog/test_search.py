"""People find a dataset by words in either language, by place, by any of its names and by any digest."""

from datetime import date

import pytest

from catalog.models import Dataset, Version
from catalog.search import Filters, asset_with, digest_in, fold_texts, named_version, search
from tests import factories

pytestmark = pytest.mark.django_db

VANCOUVER = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm"


def vancouver() -> Dataset:
    found = factories.dataset(
        VANCOUVER,
        region="ca-bc",
        dguid="2022A00055915022",
        title_en="Vancouver orthoimagery, 2022",
        title_fr="Orthoimagerie de Vancouver, 2022",
        description_fr="Photographies aériennes de toute la ville, avant la feuillaison.",
        keywords_en="aerial photographs",
        starts_on=date(2022, 3, 1),
        ends_on=date(2022, 4, 30),
        package=factories.package("d4c-datapkg-orthoimagery"),
    )
    factories.version(found)
    return found


def quebec() -> Dataset:
    found = factories.dataset(
        "ca-qc_roads", region="ca-qc", title_en="Road network", title_fr="Réseau routier", description_en="Streets."
    )
    factories.version(found)
    return found


def found_by(query: str, **filters: object) -> set[str]:
    return {one.identifier for one in search(query, Filters(**filters))}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        "vancouver",
        "VANCOUVER orthoimagery",
        "Orthoimagerie de Vancouver",
        "British Columbia",
        "Colombie-Britannique",
        "colombie",
        "2022A00055915022",
        VANCOUVER,
        "ca-bc_vancouver",
        "aerial photograph",
        "photographies aeriennes",
        "feuillaison",
        "Roads orthoimagery",  # a word of its data package
    ],
)
def test_a_dataset_is_found_by_what_people_call_it(query: str) -> None:
    vancouver()
    assert found_by(query) == {VANCOUVER}


@pytest.mark.parametrize("query", ["québec", "Quebec", "QUÉBEC", "réseau", "reseau routier", "routes", "streets"])
def test_accents_case_and_language_do_not_matter(query: str) -> None:
    quebec()
    assert found_by(query) == {"ca-qc_roads"}


@pytest.mark.parametrize("query", ["zebra", "vancouver zebra", "ouver", "2021A00055915022", "%ancouver"])
def test_what_is_not_there_is_not_found(query: str) -> None:
    vancouver()
    assert found_by(query) == set()


def test_a_query_of_signs_alone_asks_for_nothing_and_gives_all() -> None:
    vancouver()
    assert found_by("%") == found_by("_") == {VANCOUVER}


def test_every_word_has_to_be_found() -> None:
    vancouver()
    quebec()
    assert found_by("vancouver réseau") == set()
    assert len(found_by("")) == 2


def test_what_the_names_have_comes_first_then_the_newest() -> None:
    for number, (title, description) in enumerate((("Streets", ""), ("Lakes", "beside streets"), ("Streets", ""))):
        one = factories.dataset(f"ca_{number}", title_en=title, description_en=description)
        factories.version(one)
    assert [one.identifier for one in search("streets")] == ["ca_2", "ca_0", "ca_1"]
    assert [one.identifier for one in search("")] == ["ca_2", "ca_1", "ca_0"]


def test_drafts_and_withdrawn_versions_are_not_listed() -> None:
    factories.version(factories.dataset("ca_draft"), state=Version.State.DRAFT)
    factories.version(factories.dataset("ca_withdrawn"), state=Version.State.WITHDRAWN)
    factories.version(factories.dataset("ca_old"), state=Version.State.DEPRECATED)
    assert found_by("") == {"ca_old"}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"packages": ("d4c-datapkg-orthoimagery",)}, 1),
        ({"packages": ("d4c-datapkg-orthoimagery", "d4c-datapkg-foundation")}, 2),
        ({"regions": ("ca-qc",)}, 1),
        ({"regions": ("ca-qc",), "packages": ("d4c-datapkg-orthoimagery",)}, 0),
        ({"first_year": 2022, "last_year": 2022}, 1),
        ({"first_year": 2023}, 0),
        ({"last_year": 2021}, 0),
        ({"first_year": 1999, "last_year": 2030}, 1),
    ],
)
def test_filters_narrow(filters: dict[str, object], count: int) -> None:
    vancouver()
    quebec()
    assert len(found_by("", **filters)) == count


def test_a_dataset_of_many_years_fits_each_of_them() -> None:
    many = factories.dataset("ca_many", starts_on=date(2018, 5, 1), ends_on=date(2024, 5, 1))
    factories.version(many)
    for year, fits in ((2017, False), (2018, True), (2021, True), (2024, True), (2025, False)):
        assert bool(found_by("", first_year=year, last_year=year)) is fits, year


@pytest.mark.parametrize(
    "query", ["10.5072/x-1", "https://doi.org/10.5072/X-1", "doi:10.5072/x-1", "DOI: 10.5072/x-1"]
)
def test_a_doi_names_its_version(query: str) -> None:
    version = factories.version(doi="10.5072/x-1")
    factories.version(factories.dataset("ca_other"), doi="10.5072/x-11")
    assert named_version(query) == version


def test_the_doi_of_all_versions_names_the_latest() -> None:
    dataset = factories.dataset(concept_doi="10.5072/x")
    versions = [factories.version(dataset, number) for number in ("1.0.0", "1.1.0", "2.0.0-beta")]
    assert named_version("https://doi.org/10.5072/X") == versions[1]
    assert named_version("10.5072/y") is None


def test_the_name_of_a_version_names_it() -> None:
    version = factories.version()
    factories.item(version)
    assert named_version(f" {version.dataset.identifier}_{version.shown} ") == version
    assert named_version(f"{version.dataset.identifier}_v9.9.9") is None


def test_a_draft_is_not_named() -> None:
    draft = factories.version(state=Version.State.DRAFT, doi="10.5072/x-1")
    factories.item(draft)
    assert named_version("10.5072/x-1") is None
    assert named_version(f"{draft.dataset.identifier}_{draft.shown}") is None


@pytest.mark.parametrize("column", ["sha256", "sha1", "md5"])
def test_each_digest_leads_to_its_file(column: str) -> None:
    asset = factories.asset()
    digest = getattr(asset, column)
    for query in (digest, digest.upper(), f" {column}:{digest} "):
        assert asset_with(digest_in(query)) == asset


def test_a_multihash_and_a_magnet_link_have_their_digest() -> None:
    sha256 = "ab" * 32
    assert digest_in(f"1220{sha256}") == sha256
    assert digest_in(f"magnet:?xt=urn:btih:{'cd' * 20}&xt=urn:btmh:1220{sha256}") == "cd" * 20
    assert digest_in("ab" * 31) == ""
    assert digest_in("roads 2021") == ""


def test_of_the_same_bytes_in_many_versions_the_newest_published_is_given() -> None:
    dataset = factories.dataset()
    states = (Version.State.PUBLISHED, Version.State.PUBLISHED, Version.State.DEPRECATED, Version.State.WITHDRAWN)
    assets = [
        factories.asset(factories.item(factories.version(dataset, f"1.{number}.0", state=state)))
        for number, state in enumerate(states)
    ]
    assert asset_with(assets[0].sha256) == assets[1]


def test_a_file_of_a_draft_has_no_digest_in_public() -> None:
    asset = factories.asset(factories.item(factories.version(state=Version.State.DRAFT)))
    assert asset_with(asset.sha256) is None


def test_folded_columns_have_every_public_text() -> None:
    fields = ("title", "description", "attribution", "keywords")
    texts = [f"{field}_{language}" for field in fields for language in ("en", "fr")]
    assert set(texts) == {one.name for one in Dataset._meta.fields if one.name.endswith(("_en", "_fr"))}
    dataset = Dataset(identifier="x", **{name: f"word{place}" for place, name in enumerate(texts)})
    fold_texts(dataset)
    assert all(f" word{place}" in dataset.folded_names + dataset.folded_texts for place in range(len(texts)))
