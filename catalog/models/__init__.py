from catalog.models.alias import Alias
from catalog.models.dataset import DataPackage, Dataset, Licence, Provider
from catalog.models.edition import CatalogueChange, Edition
from catalog.models.version import Asset, Item, ItemLink, PieceTable, Version, VersionQuerySet

__all__ = [
    "Alias",
    "Asset",
    "CatalogueChange",
    "DataPackage",
    "Dataset",
    "Edition",
    "Item",
    "ItemLink",
    "Licence",
    "PieceTable",
    "Provider",
    "Version",
    "VersionQuerySet",
]
