import * as vscode from "vscode";
import { SELECTOR } from "./languages";
import type { Server, ServerState, ServerStatus } from "./server";

/** The item behind `{}` in the status bar: the model, where it runs, and what it does. */
export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.languages.createLanguageStatusItem("qsum.status", SELECTOR);
  private readonly subscriptions: vscode.Disposable[];
  private status: ServerStatus | undefined;

  constructor(server: Server) {
    this.item.name = "qsum";
    this.subscriptions = [
      this.item,
      server.onDidChangeState((state) => {
        if (state.kind !== "running") {
          this.status = undefined;
        }
        this.show(state);
      }),
      server.onDidChangeStatus((status) => {
        this.status = status;
        this.show(server.state);
      }),
    ];
    this.show(server.state);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) {
      subscription.dispose();
    }
  }

  private show(state: ServerState): void {
    this.item.busy = state.kind === "starting";
    this.item.severity = vscode.LanguageStatusSeverity.Information;
    switch (state.kind) {
      case "starting":
        this.set("qsum", "starting", "Show Logs", "qsum.showLogs");
        break;
      case "stopped":
        this.set("qsum", "stopped", "Start", "qsum.restartServer");
        break;
      case "missing":
        this.item.severity = vscode.LanguageStatusSeverity.Error;
        this.set("qsum: no server", state.message, "Install Server", "qsum.installServer");
        break;
      case "failed":
        this.item.severity = vscode.LanguageStatusSeverity.Error;
        this.set("qsum: not running", state.message, "Restart", "qsum.restartServer");
        break;
      case "running":
        this.showRunning(this.status);
    }
  }

  private showRunning(status: ServerStatus | undefined): void {
    const place = [status?.model, status?.device].filter(Boolean).join(" on ");
    this.item.busy = status?.state === "busy";
    if (status?.state === "error") {
      this.item.severity = vscode.LanguageStatusSeverity.Warning;
    }
    this.set(place || "qsum", describe(status), "Show Logs", "qsum.showLogs");
  }

  private set(text: string, detail: string, title: string, command: string): void {
    this.item.text = text;
    this.item.detail = detail;
    this.item.command = { title, command };
  }
}

function describe(status: ServerStatus | undefined): string {
  if (!status) {
    return "ready";
  }
  if (status.message) {
    return status.message;
  }
  const count = status.running + status.waiting;
  return status.state !== "busy" ? "ready" : count > 1 ? `summarizing ${count} sections` : "summarizing";
}
