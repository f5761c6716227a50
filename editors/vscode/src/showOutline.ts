import * as vscode from "vscode";
import { withoutIcons } from "./icons";
import { absent, fetchOutline, type OutlineSection, sectionAt, walk } from "./outline";
import type { Server } from "./server";

interface Item extends vscode.QuickPickItem {
  readonly section: OutlineSection;
}

/** A list of all sections with their summaries; what is typed is searched in both, and Enter goes there. */
export async function showOutline(server: Server, editor: vscode.TextEditor): Promise<void> {
  const { sections } = await fetchOutline(server, editor.document);
  const items: Item[] = [...walk(sections)].map((section) => ({
    section,
    label: `${"\u2003".repeat(Math.max(0, section.level - 1))}${withoutIcons(section.title)}`,
    detail: `${"\u2003".repeat(Math.max(0, section.level - 1))}${withoutIcons(section.summary) || absent(section)}`,
  }));
  const picker = vscode.window.createQuickPick<Item>();
  picker.items = items;
  picker.title = "Outline with Summaries";
  picker.placeholder = items.length > 0 ? "Search titles and summaries" : "This page has no sections yet";
  picker.matchOnDetail = true;
  const here = sectionAt(sections, editor.selection.active);
  picker.activeItems = items.filter((item) => item.section === here);
  const before = editor.visibleRanges[0];
  let isAccepted = false;
  picker.onDidChangeActive(([item]) => {
    if (item && item.section !== here) {
      editor.revealRange(item.section.heading, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    }
  });
  picker.onDidAccept(() => {
    const section = picker.activeItems[0]?.section;
    isAccepted = section !== undefined;
    picker.hide();
    if (section) {
      editor.selection = new vscode.Selection(section.heading.start, section.heading.start);
      editor.revealRange(section.heading, vscode.TextEditorRevealType.AtTop);
    }
  });
  picker.onDidHide(() => {
    picker.dispose();
    if (!isAccepted && before) {
      editor.revealRange(before, vscode.TextEditorRevealType.AtTop);
    }
  });
  picker.show();
}
