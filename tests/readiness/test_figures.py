"""Every criterion fails when its own thing is broken in the tables, and the level drops to the rung below it."""

import pytest

from pipelines.readiness.criteria import LEVELS, RUNGS, evaluate, load_criteria
from pipelines.readiness.figures import objects_figures
from pipelines.storage.tables import INVENTORY, OBJECTS


def certificate(world, folder):
    deliveries = {name: world.delivery_figures(name) for name in world.inventory}
    return evaluate(world.set_figures(folder), deliveries)


def test_the_sound_set_stands_on_the_highest_rung(world, tmp_path):
    found = certificate(world, tmp_path)
    assert [r.criterion.id for r in found.results if not r.passes] == []
    assert (found.level, found.rung) == ("A", "synthetic")
    assert found.deliveries == {"D-1": "B", "D-2": "B"}
    assert found.parts == ("D-1", "D-2")


def set_in(table, index, **values):
    def change(world):
        rows = getattr(world, table)
        (rows["D-2"] if isinstance(rows, dict) else rows)[index].update(values)

    return change


def drop_from(table, index):
    def change(world):
        rows = getattr(world, table)
        del (rows["D-2"] if isinstance(rows, dict) else rows)[index]

    return change


def last_level(**values):
    def change(world):
        world.model = {**world.model, "levels": [{**world.model["levels"][-1], **values}]}

    return change


def model(**values):
    def change(world):
        world.model = {**world.model, **values}

    return change


def leave_out_the_test_split(world):
    for row in world.dataset:
        if row["split"] == "test":
            row["split"] = "validation"
    for row in world.augmented:
        if row["split"] == "test":
            row["split"] = "validation"


def one_density(world):
    for row in world.dataset:
        row["density"] = "B"
    for row in world.plan:
        row["real"] = 2 if row["density"] == "B" else 0
        row["deficit"] = 0


def rejected_all(world):
    for row in world.synthetic:
        row["verdict"], row["reason"] = "rejected", "critic"


def lose_all(table, status):
    def change(world):
        for rows in getattr(world, table).values():
            for row in rows:
                row["status"], row["reason"], row["duplicate_of"] = status, "a_reason", None
                if table != "inventory":
                    del row["duplicate_of"]

    return change


BREAKS = {
    "something_accepted": lose_all("inventory", "quarantined"),
    "something_written": lose_all("objects", "refused"),
    "something_kept": lose_all("images", "excluded"),
    "every_file_accounted": set_in("inventory", 5, reason=None),
    "duplicates_name_their_original": set_in("inventory", 4, duplicate_of="F-15"),
    "every_accepted_file_hashed": set_in("inventory", 1, sha256=""),
    "every_object_accounted": drop_from("objects", 3),
    "no_identifier_in_object_table": set_in("objects", 0, path="PAT567810/x.dcm"),
    "no_identifier_left": lambda world: world.survivors.update({"D-2": 1}),
    "objects_marked_deidentified": lambda world: world.unmarked.update({"D-2": 1}),
    "pictures_searched_for_text": lambda world: world.unsearched.update({"D-2": 1}),
    "uids_mapped_consistently": set_in("objects", 1, sop_instance_uid="2.25.10"),
    "no_study_of_two_patients": set_in("objects", 1, patient="P-7"),
    "pseudonyms_in_crosswalk": lambda world: world.unknown.update({"D-2": 1}),
    "every_text_row_accounted": set_in("reports", 0, status="refused"),
    "no_identifier_in_texts": set_in("reports", 0, text="Accession ACC123410. ACR b."),
    "every_image_accounted": set_in("images", 0, status="excluded"),
    "every_kept_image_has_a_picture": set_in("images", 0, picture_sha256=None),
    "unknown_facts_flagged": set_in("images", 0, laterality=None),
    "breast_found": set_in("images", 0, breast_fraction=0.001),
    "copies_looked_for": set_in("images", 0, picture_hash=None),
    "patients_have_one_split": drop_from("splits", 0),
    "every_vendor_group_has_a_curve": drop_from("curves", 0),
    "curves_rise": set_in("curves", 0, lut=[5, 4, *range(2, 4096)]),
    "vendor_hidden": set_in("harmonization", 1, after=0.64, after_low=0.62),
    "density_kept": set_in("harmonization", 2, change=-0.06, change_high=-0.04),
    "every_image_asked_for_its_label": drop_from("labels", 0),
    "every_label_has_provenance": set_in("labels", 3, evidence="[]"),
    "agreement_reported": lambda world: [row.update(density=None) for row in world.labels],
    "pixels_alone_never_sure": set_in("labels", 3, sources='["pixels"]', confidence=0.61),
    "every_kept_image_accounted": lambda world: world.exclusions.append({"image_id": "other", "reason": "duplicate"}),
    "no_patient_in_two_splits": set_in("dataset", 4, patient="P-0"),
    "no_cluster_in_two_splits": set_in("dataset", 4, cluster="P-0"),
    "no_copies": set_in("images", 0, pixel_digest="pix00"),
    "every_split_filled": leave_out_the_test_split,
    "classes_to_tell_apart": one_density,
    "deficits_named": set_in("plan", 2, real=7),
    "losses_finite": lambda world: world.losses.append({"critic": float("nan")}),
    "no_collapse": last_level(diversity={"mean": 0.1}),
    "distance_to_real_measured": last_level(sliced_wasserstein={}),
    "recall_measured": last_level(neighborhood={"generated": None, "real": None}),
    "class_fidelity_measured": last_level(fidelity={"generated": {"recovered": None}}),
    "requested_density_followed": model(density={"generated": {"spearman": -0.2}}),
    "quota_reached": set_in("synthetic", 0, verdict="rejected", reason="copy"),
    "no_copy_of_a_training_image": set_in("synthetic", 0, nearest_distance=1.0),
    "none_outside_the_real": set_in("synthetic", 0, critic_score=-1.0),
    "synthetic_density_rises": lambda world: [
        row.update(dense_fraction=1 - row["dense_fraction"]) for row in world.synthetic
    ],
    "synthetic_density_followed": lambda world: [
        row.update(percent_density=1 - row["percent_density"]) for row in world.synthetic
    ],
    "synthetic_density_monotone": lambda world: [row.update(percent_density=0.3) for row in world.synthetic],
    "screen_accounts_for_verdicts": set_in("screening", 0, passed=False),
    "oddities_told_from_real": lambda world: world.novelty.update(novelty_auroc=0.85),
    "harmonization_keeps_structure": lambda world: world.transfer.update(transfer_structure=0.5),
    "few_real_images_are_novel": lambda world: world.novelty.update(novelty_share=0.2),
    "synthetic_only_in_training": set_in("augmented", 8, split="test"),
    "real_images_unchanged": set_in("augmented", 0, split="test"),
    "worth_measured": set_in("downstream", 0, over_real=None),
    "export_whole": lambda world: world.export.update(a_export_unlike_manifest=1),
    "export_accounts_for_every_image": lambda world: world.export.update(a_export_unaccounted=1),
    "export_metadata_valid": lambda world: world.export.update(a_export_croissant_errors=1),
    "export_tells_no_patient": lambda world: world.export.update(a_export_identifiers=1),
}


def test_every_criterion_has_a_case_in_which_it_fails():
    assert set(BREAKS) == {c.id for c in load_criteria()}


@pytest.mark.parametrize("criterion_id", BREAKS)
def test_a_broken_thing_fails_its_criterion_and_drops_the_level(criterion_id, world, tmp_path):
    BREAKS[criterion_id](world)
    found = certificate(world, tmp_path)
    result = next(r for r in found.results if r.criterion.id == criterion_id)
    assert not result.passes
    level = result.criterion.level
    below = RUNGS[RUNGS.index(level) - 1] if level != "D" else None
    assert found.rung == below
    assert found.level == (below if below in LEVELS or below is None else "A")


def test_what_is_found_is_counted_independently(world):
    world.files_found = 8
    assert world.delivery_figures("D-1")["d_unaccounted"] == 1
    world.files_found = None
    assert world.delivery_figures("D-1")["d_unaccounted"] == 0
    world.files_found = 6
    world.inventory["D-1"][1]["container"] = "F-00"
    assert world.delivery_figures("D-1")["d_unaccounted"] == 0


def test_counts_of_every_rung(world, tmp_path):
    figures = world.delivery_figures("D-1")
    named = ("d_found", "d_accepted", "d_duplicate", "d_quarantined", "c_written", "c_refused", "b_kept")
    assert [figures[n] for n in named] == [7, 5, 1, 1, 4, 0, 4]
    of_set = world.set_figures(tmp_path)
    assert of_set["a_images"] == 8
    assert of_set["a_conflict_share"] == pytest.approx(2 / 8)
    assert (of_set["synthetic_kept"], of_set["synthetic_rejected"]) == (4, 4)
    assert of_set["synthetic_density_correlation"] == pytest.approx(1.0)
    assert of_set["synthetic_percent_density_correlation"] == pytest.approx(1.0)
    assert (of_set["synthetic_percent_density_falls"], of_set["synthetic_unaccounted"]) == (0, 0)
    assert of_set["pgan_distance_ratio"] == pytest.approx(3.0)
    assert (of_set["pgan_recall"], of_set["pgan_recall_of_real"], of_set["pgan_class_recovered"]) == (0.7, 0.9, 0.85)
    assert (of_set["pgan_rollbacks"], of_set["pgan_membership_auc"]) == (1, 0.6)


def test_harmonization_is_judged_on_held_out_patients_where_they_were_measured(world, tmp_path):
    found = world.set_figures(tmp_path)
    named = ("b_vendor_accuracy_before", "b_vendor_accuracy", "b_vendor_chance", "b_density_before", "b_density")
    assert [found[n] for n in named] == pytest.approx([0.9, 0.55, 0.5, 0.6, 0.59])
    assert [found[n] for n in ("b_vendor_excess_low", "b_density_loss")] == pytest.approx([0.03, 0.01])
    assert found["b_density_loss_low"] == pytest.approx(-0.01)
    del world.harmonization[1:]
    found = world.set_figures(tmp_path)
    assert (found["b_vendor_accuracy"], found["b_density_loss_low"]) == (0.7, None)


def test_a_flag_makes_an_unknown_side_good(world):
    world.images["D-1"][0].update(laterality=None, flags='["laterality_unknown"]')
    assert world.delivery_figures("D-1")["b_unknown_unflagged"] == 0


def test_a_lost_mammogram_is_seen_and_a_report_is_not_missed(world):
    del world.images["D-1"][3]
    assert world.delivery_figures("D-1")["b_unaccounted"] == 1
    world.objects["D-1"][3].update(modality="SR", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33")
    assert world.delivery_figures("D-1")["b_unaccounted"] == 0


def test_no_model_is_not_measured(world, tmp_path):
    world.model = None
    found = certificate(world, tmp_path)
    assert (found.level, found.rung) == ("A", "A")
    assert {r.holds for r in found.results if r.criterion.level == "pgan"} == {None}


def test_the_kept_alone_are_screened(world, tmp_path):
    rejected_all(world)
    figures = world.set_figures(tmp_path)
    assert (figures["synthetic_copies"], figures["synthetic_outside"], figures["synthetic_missing"]) == (0, 0, 4)
    assert figures["synthetic_density_correlation"] is None


def test_every_verdict_needs_its_grounds(world, tmp_path):
    def unaccounted():
        return world.set_figures(tmp_path)["synthetic_unaccounted"]

    own = [row for row in world.screening if row["synthetic_id"] == world.synthetic[1]["synthetic_id"]]
    own[0]["passed"] = True  # rejected, and no test failed
    assert unaccounted() == 1
    world.synthetic[1]["requested_density"] = "D"  # re-labeled, and not wanted as that
    assert unaccounted() == 0
    world.screening = [row for row in world.screening if row not in own]
    assert unaccounted() == 1


def test_retained_uids_are_no_identifiers_but_a_patient_id_is(world):
    inventory, objects = INVENTORY.build(world.inventory["D-1"]), world.objects["D-1"]
    for row, source in zip(objects, world.inventory["D-1"], strict=False):
        row["study_instance_uid"] = source["study_instance_uid"]

    def found(**given):
        return objects_figures(inventory, OBJECTS.build(objects), **given)["c_identifiers_in_table"]

    assert found() > 0
    assert found(uids_retained=True) == 0
    objects[0]["path"] = f"{world.inventory['D-1'][0]['patient_id']}/x.dcm"
    assert found(uids_retained=True) == 1
