"""Every behaviour that users of scvi-tools count on, and the tests that hold ours to it.

P1–P43 are adapted from scvi-tools' own tests, A1–A17 are defects measured in it that ours must not
have.
"""

DATA = "tests/model/test_contract_data.py"
TRAINING = "tests/model/test_contract_training.py"
SCVI = "tests/model/test_contract_scvi.py"
COMMON = "tests/model/test_contract.py"
MAPPING = "tests/model/test_mapping.py"
UPSTREAM = "tests/trust/test_upstream.py"
INPUT = "tests/trust/test_bad_input.py"
LABELS = "tests/model/test_labels.py"
MUDATA = "tests/model/test_mudata.py"

BEHAVIOURS: dict[str, tuple[str, list[str]]] = {
    "P1": ("every likelihood trains", [f"{TRAINING}::test_every_likelihood"]),
    "P2": (
        "every accessor has its shape",
        [
            f"{COMMON}::{name}"
            for name in (
                "test_latent_representation",
                "test_predictions",
                "test_expression",
                "test_elbo_and_likelihoods",
                "test_differential_expression",
                "test_annotate",
            )
        ],
    ),
    "P3": ("saved and loaded", [f"{COMMON}::test_save_load", f"{SCVI}::test_minified_and_saved"]),
    "P4": ("another AnnData takes its place", [f"{DATA}::test_another_anndata_takes_its_place"]),
    "P5": ("set up again, with layers", [f"{DATA}::test_setup_anew"]),
    "P6": (
        "sparse and dense, loaded as either",
        [f"{DATA}::test_layouts_train_alike", f"{COMMON}::test_layouts"],
    ),
    "P7": ("files", [f"{DATA}::test_trained_from_a_file", f"{COMMON}::test_backed"]),
    "P8": ("categorical and continuous covariates", [f"{DATA}::test_all_covariates_at_once"]),
    "P9": ("covariates in the encoder or not", [f"{DATA}::test_all_covariates_at_once"]),
    "P10": ("early stopping", ["tests/train/test_training.py::test_stops_early"]),
    "P11": ("no cells to stop by", [f"{TRAINING}::test_without_validation"]),
    "P12": ("too few cells", [f"{INPUT}::test_smallest_data"]),
    "P13": (
        "differential expression",
        [
            f"{SCVI}::test_differential_expression_of_every_kind",
            f"{SCVI}::test_correlations_of_genes",
        ],
    ),
    "P14": ("genes of a query", [f"{MAPPING}::test_prepare_query", f"{MAPPING}::test_bad_queries"]),
    "P15": (
        "what a query trains",
        [f"{MAPPING}::test_training_reaches_the_query_alone", f"{MAPPING}::test_reference_stays"],
    ),
    "P16": ("a query leaves the reference alone", [f"{MAPPING}::test_reference_stays"]),
    "P17": ("columns of the reference stay to the bit", [f"{MAPPING}::test_reference_stays"]),
    "P18": (
        "depth is the cell's own, a query's too",
        [f"{COMMON}::test_likelihood_parameters_and_library"],
    ),
    "P19": (
        "seeds",
        [
            f"{TRAINING}::test_another_seed_is_another_model",
            f"{COMMON}::test_same_seed_same_weights",
        ],
    ),
    "P20": (
        "no AnnData",
        [f"{DATA}::test_model_without_an_anndata", f"{DATA}::test_saved_without_an_anndata"],
    ),
    "P21": (
        "given splits",
        [f"{TRAINING}::test_given_split", f"{TRAINING}::test_splits_that_are_none"],
    ),
    "P22": (
        "what a new batch has in the decoder begins at the mean of the known ones, and is learned",
        [f"{MAPPING}::test_training_reaches_the_query_alone"],
    ),
    "P23": ("cells as an iterator", [f"{DATA}::test_cells_come_as_an_iterator"]),
    "P24": (
        "loaders and logs",
        [
            f"{TRAINING}::test_cells_loaded_by_other_processes",
            f"{TRAINING}::test_plan_and_callbacks",
        ],
    ),
    "P25": (
        "labels, some unknown",
        [f"{COMMON}::test_predictions", f"{TRAINING}::test_held_out_labels"],
    ),
    "P26": ("labels of a query", [f"{MAPPING}::test_reference_stays"]),
    "P27": (
        "labels and splits",
        [
            f"{TRAINING}::test_given_split",
            f"{TRAINING}::test_held_out_labels",
            f"{LABELS}::test_an_epoch_sees_so_many_cells_of_every_label",
        ],
    ),
    "P28": ("minified says the same", [f"{SCVI}::test_minified_says_the_same"]),
    "P29": ("minified refuses", [f"{SCVI}::test_minified_refuses_what_needs_counts"]),
    "P30": ("minified, saved and loaded", [f"{SCVI}::test_minified_and_saved"]),
    "P31": (
        "managers are freed",
        [
            f"{DATA}::test_another_anndata_takes_its_place",
            "tests/trust/test_memory.py::test_cells_live_as_long_as_their_users",
        ],
    ),
    "P32": (
        "differential abundance",
        [
            f"{SCVI}::test_differential_abundance",
            f"{UPSTREAM}::test_aggregated_posterior_has_standard_deviations",
        ],
    ),
    "P33": (
        "criticism",
        [f"{SCVI}::test_posterior_predictive_checks", f"{COMMON}::test_posterior_predictive"],
    ),
    "P35": ("hub", [f"{SCVI}::test_shared_on_a_hub"]),
    "P36": (
        "callbacks and checkpoints",
        [
            f"{TRAINING}::test_scvi_tools_checkpoints",
            f"{TRAINING}::test_payload_for_scib_metrics",
            "tests/train/test_checkpoint.py::test_resumed_run_is_the_same_run",
        ],
    ),
    "P37": ("training plan", [f"{TRAINING}::test_plan_and_callbacks"]),
    "P39": (
        "collections of files and data modules",
        [
            f"{DATA}::test_collection_of_files",
            f"{DATA}::test_model_without_an_anndata",
            "tests/model/test_streaming.py::test_labels_teach_and_the_model_is_saved",
        ],
    ),
    "P40": (
        "registration says what is wrong",
        [
            f"{DATA}::test_fields_are_transferred",
            f"{DATA}::test_registry_is_printed",
            f"{COMMON}::test_registers_only_what_is_there",
            f"{INPUT}::test_bad_cells",
        ],
    ),
    "P41": (
        "one modality of a MuData",
        [f"{MUDATA}::test_model_is_that_of_the_modality", f"{MUDATA}::test_what_is_missing"],
    ),
    "P42": ("docstrings without gaps", [f"{SCVI}::test_documented_without_gaps"]),
    "P43": (
        "registry only, size factors",
        [f"{COMMON}::test_registry", f"{DATA}::test_all_covariates_at_once"],
    ),
    "A1": ("the registry can be viewed", [f"{UPSTREAM}::test_a1_a16_registry_can_be_viewed"]),
    "A2": ("columns stay aligned", [f"{UPSTREAM}::test_a2_columns_of_a_query_stay_aligned"]),
    "A3": (
        "a shared batch moves nothing",
        [f"{UPSTREAM}::test_a3_a_shared_batch_does_not_move_the_reference"],
    ),
    "A4": ("genes by name", [f"{UPSTREAM}::test_a4_genes_in_another_order"]),
    "A5": ("means over cells", [f"{UPSTREAM}::test_a5_cells_weigh_alike_in_a_mean"]),
    "A6": ("labels beside callbacks", [f"{UPSTREAM}::test_a6_supervision_survives_callbacks"]),
    "A7": (
        "rows of a file in order",
        [f"{UPSTREAM}::test_a7_rows_of_a_file_come_as_they_were_asked_for"],
    ),
    "A8": (
        "mixtures with covariates",
        [f"{UPSTREAM}::test_a8_mixtures_with_further_covariates"],
    ),
    "A9": (
        "labels without cells",
        [f"{UPSTREAM}::test_a9_supervised_models_load_without_cells"],
    ),
    "A10": ("samples as a table", [f"{UPSTREAM}::test_a10_samples_from_all_cells_as_a_table"]),
    "A11": ("one cell left", [f"{UPSTREAM}::test_a11_one_cell_in_the_last_mini_batch"]),
    "A12": ("missing batches", [f"{UPSTREAM}::test_a12_missing_batch_is_named"]),
    "A13": ("cells are freed", [f"{UPSTREAM}::test_a13_cells_are_freed"]),
    "A14": ("new batches learn", [f"{UPSTREAM}::test_a14_new_batches_of_a_query_are_learned"]),
    "A15": ("the model's own prior", [f"{UPSTREAM}::test_a15_likelihoods_use_the_mixture"]),
    "A16": ("the registry can be viewed", [f"{UPSTREAM}::test_a1_a16_registry_can_be_viewed"]),
    "A17": (
        "loaders without covariates",
        [f"{UPSTREAM}::test_a17_loaders_without_covariates_supervise"],
    ),
}

# Tests of tools that need more than one machine or package: Ray, several processes.
ELSEWHERE: dict[str, list[str]] = {
    "P34": ["tests/train/test_ray.py::test_autotune_tries_numbers_of_components"],
    "P38": [
        "tests/train/test_ranks.py::test_every_model_trains_with_plain_ddp",
        "tests/train/test_ranks.py::test_gradients_are_those_of_one_process",
    ],
}
