import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import type * as vscode from "vscode";

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** What an error says. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * What a program prints. It runs in the temporary folder, so that nothing in a workspace is picked up by it.
 * Rejects with the program's last words where it fails.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; token?: vscode.CancellationToken; onLine?: (line: string) => void },
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      [...args],
      { cwd: tmpdir(), timeout: options.timeoutMs, windowsHide: true, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        subscription?.dispose();
        if (error) {
          // Without its package python3-venv, Debian's Python says on standard output what to install.
          reject(new Error(lastLines(stderr, 3) || lastLines(stdout, 8) || error.message));
        } else {
          resolve({ stdout, stderr });
        }
      },
    );
    const subscription = options.token?.onCancellationRequested(() => child.kill());
    if (options.onLine) {
      const report = (chunk: Buffer | string) => {
        for (const line of String(chunk).split(/\r?\n/)) {
          if (line.trim()) {
            options.onLine?.(line.trimEnd());
          }
        }
      };
      child.stdout?.on("data", report);
      child.stderr?.on("data", report);
    }
  });
}

function lastLines(text: string, count: number): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  return lines.slice(-count).join("\n");
}
