import * as vscode from "vscode";
import { debugInformation } from "./debugInformation";
import { PrivateServer } from "./installServer";
import { isServed } from "./languages";
import type { OutlineSection } from "./outline";
import { Problems } from "./problems";
import { reason } from "./processes";
import { pullModel } from "./pullModel";
import { onPythonSelected } from "./pythonEnvironment";
import { Server } from "./server";
import { showOutline } from "./showOutline";
import { StatusItem } from "./statusItem";
import { SummariesView } from "./summariesView";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("qsum", { log: true });
  const privateServer = new PrivateServer(context);
  const started = new Server(context.extension, privateServer.program, log);
  server = started;
  const view = new SummariesView(started, log);
  context.subscriptions.push(log, started, view, new StatusItem(started), new Problems(started));
  registerDocumentCommands(context, started, view);
  registerServerCommands(context, started, privateServer, log);
  restartWhereNeeded(context, started);
  void vscode.commands.executeCommand("setContext", "qsum.active", true);
  void started.restart();
}

export function deactivate(): Promise<void> | undefined {
  return server?.stop();
}

function registerDocumentCommands(
  context: vscode.ExtensionContext,
  server: Server,
  view: SummariesView,
): void {
  const onEditor = (command: string, run: (editor: vscode.TextEditor) => unknown) =>
    vscode.commands.registerCommand(command, () => {
      const editor = vscode.window.activeTextEditor;
      if (editor && isServed(editor.document)) {
        return run(editor);
      }
      return vscode.window.showInformationMessage("Open a Markdown file first.");
    });
  const ask = (command: string, ...args: unknown[]) => {
    if (server.state.kind === "running") {
      return vscode.commands.executeCommand(command, ...args);
    }
    const message =
      "message" in server.state ? server.state.message : "The qsum language server is starting.";
    return vscode.window.showWarningMessage(message);
  };
  const uri = (document: vscode.TextDocument) => document.uri.toString();
  context.subscriptions.push(
    onEditor("qsum.summarizeSectionAtCursor", ({ document, selection }) =>
      ask("qsum.summarizeSection", uri(document), selection.active.line),
    ),
    onEditor("qsum.summarizeActiveDocument", ({ document }) => ask("qsum.summarizeDocument", uri(document))),
    onEditor("qsum.updateActiveFrontMatter", ({ document }) => ask("qsum.updateFrontMatter", uri(document))),
    onEditor("qsum.refreshStale", ({ document }) => ask("qsum.refreshSummaries", uri(document))),
    onEditor("qsum.showOutline", (editor) => showOutline(server, editor)),
    vscode.commands.registerCommand("qsum.refreshView", () => view.refresh()),
    vscode.commands.registerCommand("qsum.summarizeItem", (section: OutlineSection) => {
      const document = view.shownDocument;
      return document && ask("qsum.summarizeSection", uri(document), section.heading.start.line);
    }),
    vscode.commands.registerCommand("qsum.copySummary", (section: OutlineSection) =>
      vscode.env.clipboard.writeText(section.summary),
    ),
  );
}

function registerServerCommands(
  context: vscode.ExtensionContext,
  server: Server,
  privateServer: PrivateServer,
  log: vscode.LogOutputChannel,
): void {
  const register = (command: string, run: () => unknown) =>
    context.subscriptions.push(vscode.commands.registerCommand(command, run));
  register("qsum.restartServer", () => server.restart());
  register("qsum.showLogs", () => log.show(true));
  register("qsum.installServer", async () => {
    await server.stop();
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: "Installing qsum", cancellable: true },
      async (progress, token) => {
        try {
          await privateServer.install(log, progress, token);
        } catch (error) {
          if (!token.isCancellationRequested) {
            await offerLogs(`qsum was not installed. ${reason(error)}`, log);
          }
        }
      },
    );
    await server.restart();
  });
  register("qsum.pullModel", async () => {
    if (server.state.kind !== "running") {
      await vscode.window.showWarningMessage("Models are downloaded by qsum, which is not running.");
      return;
    }
    try {
      if (await pullModel(server.state.server, log)) {
        await server.restart();
      }
    } catch (error) {
      await offerLogs(`The model was not pulled. ${reason(error)}`, log);
    }
  });
  register("qsum.copyDebugInformation", async () => {
    await vscode.env.clipboard.writeText(await debugInformation(server, context.extension));
    vscode.window.setStatusBarMessage("qsum: debug information copied", 5000);
  });
}

function restartWhereNeeded(context: vscode.ExtensionContext, server: Server): void {
  const restart = () => void server.restart();
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("qsum.path")) {
        restart();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(restart),
  );
  void onPythonSelected(restart).then((subscription) => {
    if (subscription) {
      context.subscriptions.push(subscription);
    }
  });
}

async function offerLogs(message: string, log: vscode.LogOutputChannel): Promise<void> {
  if (await vscode.window.showErrorMessage(message, "Show Logs")) {
    log.show(true);
  }
}
