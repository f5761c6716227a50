import * as vscode from "vscode";
import type { Server, ServerState } from "./server";

const INSTALL = "Install Server";
const OPEN_SETTING = "Open Setting";
const RESTART = "Restart";
const SHOW_LOGS = "Show Logs";

/** Says once that there is no server, or that it does not stay, with what helps; again only where that changes. */
export class Problems implements vscode.Disposable {
  private said = "";
  private readonly subscription: vscode.Disposable;

  constructor(server: Server) {
    this.subscription = server.onDidChangeState((state) => void this.show(state));
  }

  dispose(): void {
    this.subscription.dispose();
  }

  private async show(state: ServerState): Promise<void> {
    if (state.kind === "running") {
      this.said = "";
    }
    if ((state.kind !== "missing" && state.kind !== "failed") || state.message === this.said) {
      return;
    }
    this.said = state.message;
    const buttons =
      state.kind === "failed"
        ? [RESTART, SHOW_LOGS]
        : state.isSetting
          ? [OPEN_SETTING, SHOW_LOGS]
          : [INSTALL, OPEN_SETTING];
    switch (await vscode.window.showErrorMessage(state.message, ...buttons)) {
      case INSTALL:
        await vscode.commands.executeCommand("qsum.installServer");
        break;
      case OPEN_SETTING:
        await vscode.commands.executeCommand("workbench.action.openSettings", "qsum.path");
        break;
      case RESTART:
        await vscode.commands.executeCommand("qsum.restartServer");
        break;
      case SHOW_LOGS:
        await vscode.commands.executeCommand("qsum.showLogs");
    }
  }
}
