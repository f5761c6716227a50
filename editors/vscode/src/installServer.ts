import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type * as vscode from "vscode";
import { findOnPath } from "./findServer";
import { run } from "./processes";
import { selectedPython } from "./pythonEnvironment";

const PYTHON_TIMEOUT_MS = 20_000;
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const OLDEST_PYTHON = [3, 11] as const;

/** The server in a virtual environment of the extension's own. */
export class PrivateServer {
  private readonly folder: string;
  private readonly bin: string;
  private readonly wheels: string;

  constructor(context: vscode.ExtensionContext) {
    this.folder = path.join(context.globalStorageUri.fsPath, "server");
    this.bin = path.join(this.folder, process.platform === "win32" ? "Scripts" : "bin");
    this.wheels = context.asAbsolutePath("server");
  }

  /** Where the program is once it is installed. */
  get program(): string {
    return path.join(this.bin, process.platform === "win32" ? "qsum.exe" : "qsum");
  }

  /**
   * Installs the wheel that came with the extension; its dependencies come from where the user's pip gets
   * packages. Throws where there is no Python, or where pip fails.
   */
  async install(
    log: vscode.LogOutputChannel,
    progress: vscode.Progress<{ message: string }>,
    token: vscode.CancellationToken,
  ): Promise<void> {
    const python = await findPython();
    const wheel = (await readdir(this.wheels)).find((name) => name.endsWith(".whl"));
    if (!wheel) {
      throw new Error("This copy of the extension came without the server. Run: pip install qsum-lsp");
    }
    const options = {
      timeoutMs: INSTALL_TIMEOUT_MS,
      token,
      onLine: (line: string) => {
        log.info(line);
        const step = /^(Collecting|Downloading|Installing)\s+[^\s(]+/.exec(line.trim())?.[0];
        if (step) {
          progress.report({ message: step.slice(0, 60) });
        }
      },
    };
    progress.report({ message: "Making a Python environment" });
    try {
      await run(python, ["-m", "venv", "--clear", this.folder], options);
      const pip = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        path.join(this.wheels, wheel),
      ];
      await run(path.join(this.bin, process.platform === "win32" ? "python.exe" : "python"), pip, options);
    } catch (error) {
      await rm(this.folder, { recursive: true, force: true });
      throw error;
    }
  }
}

async function findPython(): Promise<string> {
  const names = process.platform === "win32" ? ["python", "py"] : ["python3", "python"];
  for (const python of [await selectedPython(), ...(await Promise.all(names.map(findOnPath)))]) {
    if (python && (await isNewPython(python))) {
      return python;
    }
  }
  throw new Error(`Python ${OLDEST_PYTHON.join(".")} or newer was not found. Install it, then try again.`);
}

async function isNewPython(python: string): Promise<boolean> {
  try {
    const code = `import sys; sys.exit(sys.version_info < (${OLDEST_PYTHON.join(", ")}))`;
    await run(python, ["-c", code], { timeoutMs: PYTHON_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}
