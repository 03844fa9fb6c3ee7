from pathlib import Path

import pytest

from pipelines.storage.column_maps import (
    ColumnMapError,
    chosen_column_maps,
    column_name,
    digest_of,
    fitting,
    load_column_maps,
)

HEADERS = {
    "cbis_ddsm": "patient_id,breast density,left or right breast,image view,abnormality id,image file path",
    "vindr_mammo": "study_id,series_id,image_id,laterality,view_position,breast_birads,breast_density,split",
    "embed": "empi_anon,acc_anon,study_date_anon,side,asses,tissueden,numfind",
    "rsna": "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,BIRADS,implant,density,machine_id",
    "inbreast": "Patient ID,Patient age,Laterality,View,Acquisition date,File Name,ACR,Bi-Rads",
    "cdd_cesm": "Image_name,Patient_ID,Side,Type,Age,Breast density (ACR),View,BIRADS,Findings",
    "mias": "REFNUM,BG,CLASS,SEVERITY,X,Y,RADIUS",
    "scaled_acr": "path,dataset,patient,laterality,view,image_type,density_raw,density_scale",
}
OWN = """
[st_elsewhere]
signature = ["Case", "Dichte"]
densities = { "ACR 1" = "A", "ACR 2" = "B", "ACR 3" = "C", "ACR 4" = "D", "n.b." = "" }
sides = { li = "L", re = "R", bds = "" }
[st_elsewhere.read]
accession_number = "Case"
laterality = "Seite"
density = "Dichte"
"""


@pytest.mark.parametrize(("name", "header"), HEADERS.items())
def test_a_public_sets_table_is_told_by_its_columns(name, header):
    columns = [column_name(c) for c in header.split(",")]
    assert fitting(load_column_maps(), columns)[0].name == name
    assert fitting(load_column_maps(), [c for c in columns if "den" not in c and c not in ("acr", "bg")]) == ()


def test_tables_with_our_own_columns_need_no_map():
    assert fitting(load_column_maps(), ["patient_id", "laterality", "view", "density", "reader", "image_id"]) == ()


def test_what_the_values_of_each_set_mean():
    maps = {m.name: m for m in load_column_maps()}
    assert [maps["cbis_ddsm"].density(v) for v in ("1", "2", "3", "4", "0")] == ["A", "B", "C", "D", None]
    assert [maps["embed"].density(v) for v in ("1.0", "2", "3.0", "4", "5.0", "6")] == ["A", "B", "C", "D", "", None]
    assert maps["vindr_mammo"].density(" Density  c ") == "C"
    assert maps["inbreast"].density("3 ") == "C"
    assert [maps["mias"].density(v) for v in "FGDA"] == ["AB", "BC", "CD", None]
    assert [maps["embed"].side(v) for v in ("L", "r", "B", "", "?")] == ["L", "R", "", "", None]


def test_a_pattern_takes_its_first_group():
    (ddsm,) = (m for m in load_column_maps() if m.name == "cbis_ddsm")
    row = {"image_file_path": "Mass-Training_P_00001_LEFT_CC/1.3.6.1.4.1.9590.100.1.2.422/1.3.6.1.4.1.7/000000.dcm\n"}
    assert ddsm.read(row)["study_instance_uid"] == "1.3.6.1.4.1.9590.100.1.2.422"
    assert ddsm.read({"image_file_path": "elsewhere.dcm"})["study_instance_uid"] == ""


def test_a_hospital_adds_its_own(tmp_path: Path):
    assert chosen_column_maps(tmp_path) is None
    (tmp_path / "column_maps.toml").write_text(OWN)
    maps = load_column_maps(chosen_column_maps(tmp_path))
    assert digest_of(maps) != digest_of(load_column_maps())
    (own,) = fitting(maps, ["case", "dichte", "seite"])
    row = {"case": "17", "dichte": "acr 3", "seite": "Li"}
    assert own.read(row) == {"accession_number": "17", "laterality": "Li", "density": "acr 3"}
    assert (own.density("acr 3"), own.density("N.B."), own.side("Li"), own.side("bds")) == ("C", "", "L", "")


def test_a_hospitals_map_takes_the_place_of_ours(tmp_path: Path):
    path = tmp_path / "column_maps.toml"
    path.write_text(
        '[mias]\nsignature = ["refnum", "bg"]\ndensities = { F = "A" }\nread = { file_name = "a", density = "bg" }'
    )
    assert [m.density("F") for m in load_column_maps(path) if m.name == "mias"] == ["A"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[m", "not valid TOML"),
        ("m = 1", "m: needs signature"),
        (OWN.replace("[st_elsewhere", "['St. E'"[:-1] + "'"), "handed on"),
        (OWN + 'title2 = "x"', "no column of ours: title2"),
        (OWN.replace("signature", "colour = 1\nsignature"), "unknown setting colour"),
        (OWN.replace('density = "Dichte"', ""), "needs density"),
        (OWN.replace('accession_number = "Case"', ""), "needs density and one of"),
        (OWN.replace('["Case", "Dichte"]', "[]"), "names no column"),
        (OWN.replace('= "A"', '= "AD"'), "is none of A, B"),
        (OWN.replace('"n.b."', '"' + "x" * 33 + '"'), "is none of"),
        (OWN.replace('"Case"\nlat', '{ column = "Case", pattern = "x" }\nlat'), "one group"),
        (OWN.replace('"Case"\nlat', '{ column = "Case", pattern = "(" }\nlat'), "regular expression"),
    ],
)
def test_a_file_that_is_not_sound_says_where(tmp_path: Path, text, says):
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ColumnMapError, match=says):
        load_column_maps(tmp_path / "m.toml")
