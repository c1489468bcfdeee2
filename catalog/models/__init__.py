from catalog.models.dataset import DataPackage, Dataset, Licence, Provider
from catalog.models.version import Asset, Item, PieceTable, Version, VersionQuerySet

__all__ = [
    "Asset",
    "DataPackage",
    "Dataset",
    "Item",
    "Licence",
    "PieceTable",
    "Provider",
    "Version",
    "VersionQuerySet",
]
