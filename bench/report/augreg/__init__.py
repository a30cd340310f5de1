"""The figures and tables of "How to train your ViT?": the data of each, and its drawing, one module a figure."""

from __future__ import annotations

from bench.report.augreg import fig1, fig2, fig3, fig4, fig5_left, fig5_right, fig6, fig7, table3, table5
from bench.report.augreg.face import PAPER
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts, catalogue


def _paper(where: str) -> str:
    return f'"{PAPER}", {where}'


FIGURES: dict[str, FigureFacts] = catalogue(
    (
        FigureFacts(
            "augreg-fig1",
            "what AugReg adds on ImageNet-1k, against ten times the upstream data",
            *(_paper("Fig. 1"), (TABLE, PUBLISHED)),
            *(fig1.data, fig1.draw),
        ),
        FigureFacts(
            "augreg-fig2",
            "training from scratch against transfer, by training time and by budget of a random search",
            *(_paper("Fig. 2"), (OWN,)),
            *(fig2.data, fig2.draw),
        ),
        FigureFacts(
            "augreg-fig3",
            "accuracy on VTAB's groups of tasks against speed, by upstream set",
            *(_paper("Fig. 3"), (OWN, PUBLISHED)),
            *(fig3.data, fig3.draw),
        ),
        FigureFacts(
            "augreg-fig4",
            "upstream validation accuracy by model, regularisation and augmentation",
            *(_paper("Fig. 4"), (TABLE, PUBLISHED)),
            *(fig4.data, fig4.draw),
        ),
        FigureFacts(
            "augreg-fig5-left",
            "test accuracy of the best checkpoint upstream minus that of the best downstream",
            *(_paper("Fig. 5 left"), (TABLE, PUBLISHED)),
            *(fig5_left.data, fig5_left.draw),
        ),
        FigureFacts(
            "augreg-fig5-right",
            "test accuracy on ImageNet-1k against minival and, of own runs, against ImageNetV2",
            *(_paper("Fig. 5 right"), (OWN, TABLE)),
            *(fig5_right.data, fig5_right.draw),
        ),
        FigureFacts(
            "augreg-fig6-left",
            "accuracy on ImageNet-1k against speed, all models",
            *(_paper("Fig. 6 left"), (TABLE, PUBLISHED)),
            *(fig6.data, fig6.draw_left),
        ),
        FigureFacts(
            "augreg-fig6-right",
            "accuracy on ImageNet-1k against speed, small models: larger patch or thinner model",
            *(_paper("Fig. 6 right"), (TABLE, PUBLISHED)),
            *(fig6.data, fig6.draw_right),
        ),
        FigureFacts(
            "augreg-fig7",
            "what regularisation adds at each augmentation level",
            *(_paper("Fig. 7"), (TABLE, PUBLISHED)),
            *(fig7.data, fig7.draw),
        ),
        FigureFacts(
            "augreg-table3",
            "ImageNet-1k after fine-tuning and speed of the recommended checkpoints",
            *(_paper("Table 3"), (TABLE, PUBLISHED)),
            *(table3.data, table3.draw),
        ),
        FigureFacts(
            "augreg-table5",
            "the recommended checkpoints on every task of VTAB",
            *(_paper("Table 5"), (OWN, PUBLISHED)),
            *(table5.data, table5.draw),
        ),
    )
)
