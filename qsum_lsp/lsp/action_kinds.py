"""The kinds of code actions."""

from lsprotocol.types import CodeActionKind

SUMMARIZE = "qsum.summarize"
KINDS = (CodeActionKind.QuickFix, CodeActionKind.RefactorRewrite, SUMMARIZE)
