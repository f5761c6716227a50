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
const NO_LIMIT = 0;

/** Lets the user choose a model and downloads it. True when it is here; throws where it is not to be had. */
export async function pullModel(server: ServerCommand, log: vscode.LogOutputChannel): Promise<boolean> {
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
    {
      title: "Pull Model",
      placeHolder: "The model is downloaded once and stays on this machine",
      ignoreFocusOut: true, // a walk-through takes the focus back when its step is done
    },
  );
  return picked ? download(server, picked.entry.alias, log) : false;
}

/** True when the model is here, false where the user cancelled. Throws where it is not to be had. */
function download(server: ServerCommand, alias: string, log: vscode.LogOutputChannel): Thenable<boolean> {
  const location = vscode.ProgressLocation.Notification;
  return vscode.window.withProgress(
    { location, title: `qsum: pulling ${alias}`, cancellable: true },
    async (progress, token) => {
      let percent = 0;
      const onLine = (line: string) => {
        log.info(line);
        const step = /: (.+), ([\d,]+) of ([\d,]+) MB$/.exec(line);
        if (step) {
          const [, doing = "", done = "", all = ""] = step;
          const reached = (100 * number(done)) / Math.max(number(all), 1);
          progress.report({ message: `${doing}, ${done} of ${all} MB`, increment: reached - percent });
          percent = reached;
        }
      };
      try {
        const args = [...server.args, "models", "pull", alias];
        await run(server.command, args, { timeoutMs: NO_LIMIT, token, onLine });
        return true;
      } catch (error) {
        if (token.isCancellationRequested) {
          return false;
        }
        throw error;
      }
    },
  );
}

function number(text: string): number {
  return Number(text.replaceAll(",", ""));
}
