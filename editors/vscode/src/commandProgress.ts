import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import {
  type LanguageClient,
  LSPErrorCodes,
  ResponseError,
  WorkDoneProgress,
  type WorkDoneProgressBegin,
  type WorkDoneProgressReport,
} from "vscode-languageclient/node";

/** What is done sooner shows no progress. */
const QUIET_MS = 700;

type Update = WorkDoneProgressBegin | WorkDoneProgressReport;

/**
 * Runs a command of the server. Where it takes longer, its progress is shown with a button that cancels it.
 * Resolves to undefined where the user did so; rejects with what the server answers.
 */
export async function runWithProgress<Result>(
  client: LanguageClient,
  send: (token: vscode.CancellationToken, workDoneToken: string) => Promise<Result>,
): Promise<Result | undefined> {
  const cancellation = new vscode.CancellationTokenSource();
  const workDoneToken = randomUUID();
  let latest: Update | undefined;
  let title = "qsum";
  let show: ((update: Update) => void) | undefined;
  const listener = client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
    if (value.kind === "end") {
      return;
    }
    title = value.kind === "begin" ? value.title : title;
    latest = value;
    show?.(value);
  });
  const answer = send(cancellation.token, workDoneToken);
  const timer = setTimeout(() => {
    void vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, cancellable: true, title },
      async (progress, token) => {
        token.onCancellationRequested(() => cancellation.cancel());
        show = reporter(progress);
        if (latest) {
          show(latest);
        }
        await answer.then(undefined, () => undefined);
      },
    );
  }, QUIET_MS);
  try {
    return await answer;
  } catch (error) {
    if (isCancelled(error)) {
      return undefined;
    }
    throw error;
  } finally {
    clearTimeout(timer);
    listener.dispose();
    cancellation.dispose();
  }
}

function reporter(
  progress: vscode.Progress<{ message?: string; increment?: number }>,
): (update: Update) => void {
  let reported = 0;
  return (update) => {
    const percentage = update.percentage ?? reported;
    progress.report({ message: update.message ?? "", increment: Math.max(0, percentage - reported) });
    reported = Math.max(reported, percentage);
  };
}

function isCancelled(error: unknown): boolean {
  return error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
}
