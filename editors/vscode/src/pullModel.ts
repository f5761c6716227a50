import * as vscode from "vscode";
import type { ServerCommand } from "./findServer";
import { run } from "./processes";

interface ModelEntry {
  readonly alias: string;
  readonly title: string;
  readonly size: number;
  readonly licence: string;
  readonly here: boolean;
  readonly default: boolean;
}

const LIST_TIMEOUT_MS = 20_000;

/** Lets the user choose a model and downloads it in a terminal, where its progress is seen. True when it is here. */
export async function pullModel(server: ServerCommand): Promise<boolean> {
  const { stdout } = await run(server.command, [...server.args, "models", "list", "--json"], {
    timeoutMs: LIST_TIMEOUT_MS,
  });
  const entries = stdout
    .split("\n")
    .filter((line) => line.trim())
    .map((line): ModelEntry => JSON.parse(line));
  const picked = await vscode.window.showQuickPick(
    entries.map((entry) => ({
      entry,
      label: entry.alias,
      description: [
        `${(entry.size / 1e9).toFixed(1)} GB`,
        entry.licence,
        ...(entry.default ? ["default"] : []),
        ...(entry.here ? ["already here"] : []),
      ].join(" · "),
      detail: entry.title,
    })),
    { title: "Pull Model", placeHolder: "The model is downloaded once and stays on this machine" },
  );
  return picked ? download(server, picked.entry.alias) : false;
}

async function download(server: ServerCommand, alias: string): Promise<boolean> {
  const task = new vscode.Task(
    { type: "process" },
    vscode.TaskScope.Global,
    `Pull ${alias}`,
    "qsum",
    new vscode.ProcessExecution(server.command, [...server.args, "models", "pull", alias]),
  );
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, panel: vscode.TaskPanelKind.Dedicated };
  const execution = await vscode.tasks.executeTask(task);
  return new Promise((resolve) => {
    const subscription = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution === execution) {
        subscription.dispose();
        resolve(event.exitCode === 0);
      }
    });
  });
}
