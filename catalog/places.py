"""Names of places in English and French, by the codes that identifiers carry. Pure.

Regions are ISO 3166 codes in lower case. Municipalities are named by their code in Statistics Canada's Standard
Geographical Classification, which ends the DGUID of a census subdivision (schema 0005); the table has the capitals
and the larger ones, since a smaller one is found by the source in its identifier and by its titles.
"""

import re

REGIONS = {
    "ca": ("Canada", "Canada"),
    "ca-nl": ("Newfoundland and Labrador", "Terre-Neuve-et-Labrador"),
    "ca-pe": ("Prince Edward Island", "Île-du-Prince-Édouard"),
    "ca-ns": ("Nova Scotia", "Nouvelle-Écosse"),
    "ca-nb": ("New Brunswick", "Nouveau-Brunswick"),
    "ca-qc": ("Quebec", "Québec"),
    "ca-on": ("Ontario", "Ontario"),
    "ca-mb": ("Manitoba", "Manitoba"),
    "ca-sk": ("Saskatchewan", "Saskatchewan"),
    "ca-ab": ("Alberta", "Alberta"),
    "ca-bc": ("British Columbia", "Colombie-Britannique"),
    "ca-yt": ("Yukon", "Yukon"),
    "ca-nt": ("Northwest Territories", "Territoires du Nord-Ouest"),
    "ca-nu": ("Nunavut", "Nunavut"),
}
# English | French where they differ.
MUNICIPALITIES = {
    "1001519": "St. John's",
    "1001542": "Mount Pearl",
    "1005018": "Corner Brook",
    "1102075": "Charlottetown",
    "1103025": "Summerside",
    "1209034": "Halifax",
    "1217030": "Cape Breton",
    "1301006": "Saint John",
    "1307022": "Moncton",
    "1307045": "Dieppe",
    "1310032": "Fredericton",
    "1313027": "Edmundston",
    "1315011": "Bathurst",
    "2403005": "Gaspé",
    "2410043": "Rimouski",
    "2423027": "Quebec City | Québec",
    "2425213": "Lévis",
    "2437067": "Trois-Rivières",
    "2443027": "Sherbrooke",
    "2447017": "Granby",
    "2449058": "Drummondville",
    "2454048": "Saint-Hyacinthe",
    "2456083": "Saint-Jean-sur-Richelieu",
    "2458007": "Brossard",
    "2458227": "Longueuil",
    "2460013": "Repentigny",
    "2464008": "Terrebonne",
    "2465005": "Laval",
    "2466023": "Montréal",
    "2473015": "Blainville",
    "2475017": "Saint-Jérôme",
    "2481017": "Gatineau",
    "2486042": "Rouyn-Noranda",
    "2489008": "Val-d'Or",
    "2493042": "Alma",
    "2494068": "Saguenay",
    "2496020": "Baie-Comeau",
    "2497007": "Sept-Îles",
    "3501012": "Cornwall",
    "3506008": "Ottawa",
    "3510010": "Kingston",
    "3512005": "Belleville",
    "3515014": "Peterborough",
    "3518001": "Pickering",
    "3518005": "Ajax",
    "3518009": "Whitby",
    "3518013": "Oshawa",
    "3518017": "Clarington",
    "3519028": "Vaughan",
    "3519036": "Markham",
    "3519038": "Richmond Hill",
    "3519048": "Newmarket",
    "3520005": "Toronto",
    "3521005": "Mississauga",
    "3521010": "Brampton",
    "3521024": "Caledon",
    "3523008": "Guelph",
    "3524001": "Oakville",
    "3524002": "Burlington",
    "3524009": "Milton",
    "3525005": "Hamilton",
    "3526043": "Niagara Falls",
    "3526053": "St. Catharines",
    "3529006": "Brantford",
    "3530010": "Cambridge",
    "3530013": "Kitchener",
    "3530016": "Waterloo",
    "3536020": "Chatham-Kent",
    "3537039": "Windsor",
    "3538030": "Sarnia",
    "3539036": "London",
    "3543042": "Barrie",
    "3548044": "North Bay",
    "3553005": "Greater Sudbury | Grand Sudbury",
    "3556027": "Timmins",
    "3557061": "Sault Ste. Marie",
    "3558004": "Thunder Bay",
    "4602044": "Steinbach",
    "4607062": "Brandon",
    "4611040": "Winnipeg",
    "4622026": "Thompson",
    "4706027": "Regina",
    "4707039": "Moose Jaw",
    "4711066": "Saskatoon",
    "4715066": "Prince Albert",
    "4801006": "Medicine Hat",
    "4802012": "Lethbridge",
    "4806016": "Calgary",
    "4806021": "Airdrie",
    "4808011": "Red Deer",
    "4811052": "Strathcona County",
    "4811061": "Edmonton",
    "4811062": "St. Albert",
    "4816037": "Wood Buffalo",
    "4819012": "Grande Prairie",
    "5909020": "Chilliwack",
    "5909052": "Abbotsford",
    "5915001": "Langley",
    "5915002": "Langley",
    "5915004": "Surrey",
    "5915011": "Delta",
    "5915015": "Richmond",
    "5915022": "Vancouver",
    "5915025": "Burnaby",
    "5915029": "New Westminster",
    "5915034": "Coquitlam",
    "5915039": "Port Coquitlam",
    "5915046": "North Vancouver",
    "5915051": "North Vancouver",
    "5915075": "Maple Ridge",
    "5917021": "Saanich",
    "5917034": "Victoria",
    "5921007": "Nanaimo",
    "5933042": "Kamloops",
    "5935010": "Kelowna",
    "5953023": "Prince George",
    "6001009": "Whitehorse",
    "6101017": "Inuvik",
    "6106023": "Yellowknife",
    "6204003": "Iqaluit",
    "6205017": "Rankin Inlet",
}
SUBDIVISION = re.compile(r"[0-9]{4}A0005([0-9]{7})")


def region_name(region: str, language: str) -> str:
    """Name a region; one that is not in the table keeps its code, in upper case."""
    english, french = REGIONS.get(region, (region.upper(), region.upper()))
    return french if language == "fr" else english


def municipality_name(dguid: str, language: str) -> str:
    """Name the municipality of a DGUID; empty for any other area, and for one that is not in the table."""
    english, french = municipality(dguid)
    return french if language == "fr" else english


def place_name(region: str, dguid: str, language: str) -> str:
    """Say where a dataset is: `Vancouver, British Columbia`, or the region alone; empty where neither is known."""
    return ", ".join(filter(None, (municipality_name(dguid, language), region_name(region, language))))


def names_of(region: str, dguid: str) -> tuple[str, ...]:
    """Give every name by which people may look for a place, in both languages."""
    return (*REGIONS.get(region, ()), *municipality(dguid))


def municipality(dguid: str) -> tuple[str, str]:
    match = SUBDIVISION.fullmatch(dguid)
    names = MUNICIPALITIES.get(match[1], "") if match else ""
    english, _, french = names.partition(" | ")
    return english, french or english
