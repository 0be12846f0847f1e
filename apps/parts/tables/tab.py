"""The tab "Tables": one's own table, a network beside four classical methods."""

from pathlib import Path

import gradio as gr

from apps import tables
from apps.parts.tables import comparison
from apps.parts.tables.preparing import problem_of
from apps.parts.tables.samples import sample_table
from apps.parts.tables.sheet import save_sheet
from shared import tabs
from shared.data.tables import read_table
from shared.training import devices

TITLE, POSITION = "Tables", 90
GROUP, PICTURE = "Learn", "docs/tables.webp"
EXAMPLE = "a network beside four classical methods, in eight panels"


def show() -> None:
    """Lay out the tab."""
    gr.Markdown(tables.NO_DEVICE)
    with gr.Row():
        table = gr.File(label="A CSV file; without one, 569 tumours", file_count="single", type="filepath")
        with gr.Column():
            target = gr.Textbox(label="The column to predict; empty for the last one", max_length=200)
            units = gr.Slider(1, 64, 16, step=1, label="Hidden units")
            epochs = gr.Slider(1, 100, 30, step=1, label="Passes over the rows")
            start = gr.Button("Compare", variant="primary")
    sheet = tabs.picture_output("The sheet", show_label=False)
    said = gr.Textbox(label="In words", lines=9, interactive=False)
    start.click(compare, [table, target, units, epochs], [sheet, said], api_name="compare", **tabs.LATEST)


@tabs.errors_shown()
def compare(table, target, units, epochs):
    """The sheet and the report."""
    config = tables.Diagnose(units=round(units), epochs=round(epochs))
    name = tabs.checked_text(target, 200).strip() or None
    problem = problem_of(read_table(Path(table)) if table else sample_table(), name)
    comparison.check_folds(problem, config.folds)
    with devices.setup(config.seed, "float32"):
        found = tables.compared(config, problem)
    path = tabs.new_file("sheet.png")
    save_sheet(path, found)
    return str(path), comparison.report(found)
