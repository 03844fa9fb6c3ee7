"""Labels tables as public sets deliver them, from the inventory to votes."""

from pathlib import Path

import pytest

from pipelines.archive.deliveries import Delivery
from pipelines.archive.inventory import take_inventory
from pipelines.deidentify.delivery import deidentify_texts
from pipelines.deidentify.profile import load_profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.label.votes import collect_votes
from pipelines.storage.keys import Key
from pipelines.storage.tables import DELIVERED_LABELS, INVENTORY, OBJECTS, REPORTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import mammogram, save

KEY = Key(b"0123456789abcdef0123456789abcdef")
TABLES = {
    "EMBED_clinical.csv": (
        "empi_anon,acc_anon,side,tissueden,desc\n7,ACC-L,L,3.0,x\n7,ACC-L,R,2.0,x\n7,ACC-M,,5.0,x\n7,ACC-M,,9,x\n"
    ),
    "INbreast.csv": "Patient ID;Laterality;View;File Name;ACR;Bi-Rads\nremoved;R;CC;22678622;4 ;1\nremoved;L;CC;9;1;\n",
    "mias/info.csv": "REFNUM,BG,CLASS\nmdb001,G,NORM\nmdb002,D,NORM\nmdb003,F,NORM\n",
    "rsna/train.csv": (
        "site_id,patient_id,image_id,laterality,view,age,cancer,density\n2,10006,462822612,L,CC,61,0,\n1,10011,2,R,CC,55,0,B\n"
    ),
}


@pytest.fixture
def votes(tmp_path: Path) -> list[dict]:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    out.mkdir()
    for number, name in enumerate(("22678622_ab_MG_R_CC_ANON", "mias/mdb001", "mias/mdb002", "mias/mdb003"), start=1):
        uids = {"SOPInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": f"1.2.{number}"}
        image = mammogram(**uids, PatientID=f"P{number}", AccessionNumber=f"A{number}")
        save(image, inbox / f"{name}.dcm")
    for name, text in TABLES.items():
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_text(text)
    take_inventory(Delivery("d", inbox), key=KEY, folder=out, workers=Workers(1))
    inventory = read_table(out / "inventory.parquet", INVENTORY)
    summary = deidentify_texts(
        inventory,
        source=lambda location: inbox / location.removeprefix("inbox:"),
        key=KEY,
        profile=load_profile(),
        folder=out,
    )
    assert summary.reasons == {"density_not_recognized": 1, "file_not_in_delivery": 1, "no_density": 1}
    return collect_votes(
        delivered=read_table(out / "labels.parquet", DELIVERED_LABELS),
        reports=REPORTS.build([]),
        objects=OBJECTS.build([]),
        read_object=lambda row: None,
    ).to_pylist()


def test_each_set_says_what_its_scale_can_say(votes):
    known = Pseudonyms(KEY)
    found = {
        (v["rule"], v["accession"], v["sop_instance_uid"], v["patient"] if v["rule"] == "rsna" else None): (
            v["laterality"],
            v["densities"],
        )
        for v in votes
        if v["rule"] != "embed"
    }
    assert found == {
        ("inbreast", None, known.uid("1.2.3.1"), None): ("R", "D"),
        ("mias", None, known.uid("1.2.3.2"), None): (None, "BC"),
        ("mias", None, known.uid("1.2.3.3"), None): (None, "CD"),
        ("mias", None, known.uid("1.2.3.4"), None): (None, "AB"),
        ("rsna", None, None, known.patient("10011")): ("R", "B"),
    }


def test_embed_is_joined_by_accession_and_side_and_a_man_has_none(votes):
    found = [(v["accession"], v["laterality"], v["densities"]) for v in votes if v["rule"] == "embed"]
    accession = Pseudonyms(KEY).accession("ACC-L")
    assert sorted(found) == [(accession, "L", "C"), (accession, "R", "B")]
