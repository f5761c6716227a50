import * as vscode from "vscode";
import { isServed } from "./languages";
import { absent, fetchOutline, NO_OUTLINE, type Outline, type OutlineSection, sectionAt } from "./outline";
import { reason } from "./processes";
import type { Server } from "./server";

const EDIT_PAUSE_MS = 400;

/** The side view: the sections of the page in the active editor with their summaries; it follows the cursor. */
export class SummariesView implements vscode.TreeDataProvider<OutlineSection>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly view: vscode.TreeView<OutlineSection>;
  private readonly subscriptions: vscode.Disposable[] = [];
  private document: vscode.TextDocument | undefined;
  private outline: Outline = NO_OUTLINE;
  private timer: NodeJS.Timeout | undefined;
  private request: vscode.CancellationTokenSource | undefined;

  readonly onDidChangeTreeData = this.changed.event;

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.view = vscode.window.createTreeView("qsum.summaries", {
      treeDataProvider: this,
      showCollapseAll: true,
    });
    this.subscriptions.push(
      this.view,
      this.view.onDidChangeVisibility(() => this.refresh()),
      vscode.window.onDidChangeActiveTextEditor(() => this.refresh()),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.follow(textEditor)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (document === this.document) {
          this.refreshSoon();
        }
      }),
      server.onDidChangeState(() => this.refresh()),
      server.onDidChangeSummaries((uri) => {
        if (this.document && vscode.Uri.parse(uri).toString() === this.document.uri.toString()) {
          this.refresh();
        }
      }),
    );
    this.refresh();
  }

  /** Fetches the sections and summaries again. */
  refresh(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.fetch();
  }

  getChildren(section?: OutlineSection): OutlineSection[] {
    return [...(section ? section.children : this.outline.sections)];
  }

  getParent(section: OutlineSection): OutlineSection | undefined {
    return section.parent;
  }

  getTreeItem(section: OutlineSection): vscode.TreeItem {
    const item = new vscode.TreeItem(
      section.title,
      section.children.length > 0
        ? vscode.TreeItemCollapsibleState.Expanded
        : vscode.TreeItemCollapsibleState.None,
    );
    item.id = `${this.document?.uri.toString()}#${section.id}`;
    item.description = section.summary || absent(section);
    item.tooltip = tooltip(section);
    item.contextValue = section.summary ? "section summarized" : "section";
    item.accessibilityInformation = { label: spoken(section) };
    if (section.isRunning) {
      item.iconPath = new vscode.ThemeIcon("loading~spin");
    } else if (section.isStale) {
      item.iconPath = new vscode.ThemeIcon("history", new vscode.ThemeColor("list.warningForeground"));
    }
    if (this.document) {
      item.command = {
        command: "vscode.open",
        title: "Go to Section",
        arguments: [
          this.document.uri,
          { selection: new vscode.Range(section.heading.start, section.heading.start) },
        ],
      };
    }
    return item;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.request?.cancel();
    for (const subscription of this.subscriptions) {
      subscription.dispose();
    }
    this.changed.dispose();
  }

  /** The document that a section of this view belongs to. */
  get shownDocument(): vscode.TextDocument | undefined {
    return this.document;
  }

  private refreshSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), EDIT_PAUSE_MS);
  }

  private async fetch(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    // A panel that takes the focus, such as the log, leaves the page as it is.
    const document = editor && isServed(editor.document) ? editor.document : this.stillOpen(editor);
    await vscode.commands.executeCommand("setContext", "qsum.hasDocument", document !== undefined);
    if (!this.view.visible) {
      return;
    }
    this.request?.cancel();
    const request = new vscode.CancellationTokenSource();
    this.request = request;
    let outline = NO_OUTLINE;
    try {
      outline = document ? await fetchOutline(this.server, document, request.token) : NO_OUTLINE;
    } catch (error) {
      if (!request.token.isCancellationRequested) {
        this.log.warn(`The outline could not be read. ${reason(error)}`);
      }
    }
    if (request !== this.request) {
      return;
    }
    this.document = document;
    this.outline = outline;
    this.changed.fire();
    if (!document) {
      // A message would hide what the empty view says.
      this.view.message = "";
    } else if (editor?.document === document) {
      this.follow(editor);
    }
  }

  private stillOpen(editor: vscode.TextEditor | undefined): vscode.TextDocument | undefined {
    const isShown = vscode.window.visibleTextEditors.some(({ document }) => document === this.document);
    return editor === undefined && isShown ? this.document : undefined;
  }

  private follow(editor: vscode.TextEditor | undefined): void {
    if (!editor || editor.document !== this.document || !this.view.visible) {
      return;
    }
    const section = sectionAt(this.outline.sections, editor.selection.active);
    this.view.message = this.outline.message || (section ? section.summary : this.outline.pageSummary);
    if (section && this.view.selection[0] !== section) {
      // A view that was hidden meanwhile rejects; there is nothing to follow then.
      this.view.reveal(section, { select: true, focus: false }).then(undefined, () => undefined);
    }
  }
}

function tooltip(section: OutlineSection): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown("**").appendText(section.title).appendMarkdown("**\n\n");
  text.appendText(section.summary || `${absent(section)}.`);
  if (section.isStale) {
    text.appendMarkdown("\n\n*The section has changed since.*");
  }
  if (section.note) {
    text.appendMarkdown("\n\n").appendText(`Note: ${section.note}`);
  }
  return text;
}

/** What a screen reader says. What is seen comes first, for those who speak to the computer as well. */
function spoken(section: OutlineSection): string {
  const level = section.level > 0 ? ` Heading level ${section.level}.` : "";
  const stale = section.isStale ? " The section has changed since." : "";
  return `${section.title}. ${section.summary || `${absent(section)}.`}${level}${stale}`;
}
