import { access } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import * as vscode from "vscode";
import { reason, run } from "./processes";
import { selectedPython } from "./pythonEnvironment";
import { isNewEnough, OLDEST_SERVER, parseVersion } from "./versions";

const VERSION_TIMEOUT_MS = 20_000;

/** How to run a program of the server. `origin` says for people where it was found. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly origin: string;
  readonly version: string;
}

/** No server that can be used, and what to tell the user. */
export class NoServer extends Error {
  constructor(
    message: string,
    readonly isSetting: boolean,
  ) {
    super(message);
  }
}

interface Candidate {
  readonly command: string;
  readonly args: readonly string[];
  readonly origin: string;
}

/**
 * The first server that is new enough: the `qsum.path` setting (and then no other), the selected Python
 * environment, the `PATH`, the copy that Install Server made. Throws NoServer.
 */
export async function findServer(
  privateServer: string,
  log: vscode.LogOutputChannel,
): Promise<ServerCommand> {
  const configured = vscode.workspace.getConfiguration("qsum").get<string>("path", "").trim();
  if (configured) {
    return fromSetting(expandHome(configured), log);
  }
  const tooOld: string[] = [];
  for await (const candidate of candidates(privateServer)) {
    const version = await versionOf(candidate, log);
    if (version === undefined) {
      continue;
    }
    if (isNewEnough(version)) {
      return { ...candidate, version };
    }
    tooOld.push(`${version} (${candidate.origin})`);
  }
  if (tooOld.length > 0) {
    throw new NoServer(
      `qsum ${tooOld.join(", ")} is too old for this extension, which needs ${OLDEST_SERVER} or newer.`,
      false,
    );
  }
  throw new NoServer("qsum, the program that makes the summaries, was not found.", false);
}

async function fromSetting(command: string, log: vscode.LogOutputChannel): Promise<ServerCommand> {
  const candidate = { command, args: [], origin: "the setting qsum.path" };
  const version = await versionOf(candidate, log);
  if (version === undefined) {
    throw new NoServer(`The setting qsum.path names ${command}, which is no qsum that can be run.`, true);
  }
  if (!isNewEnough(version)) {
    throw new NoServer(
      `The setting qsum.path names qsum ${version}, which is too old for this extension: it needs ${OLDEST_SERVER} or newer.`,
      true,
    );
  }
  return { ...candidate, version };
}

async function* candidates(privateServer: string): AsyncGenerator<Candidate> {
  const python = await selectedPython();
  if (python) {
    // -P keeps the working directory out of the modules that Python finds.
    yield { command: python, args: ["-P", "-m", "qsum_lsp"], origin: "the selected Python environment" };
  }
  const onPath = await findOnPath("qsum");
  if (onPath) {
    yield { command: onPath, args: [], origin: "the PATH" };
  }
  if (await exists(privateServer)) {
    yield { command: privateServer, args: [], origin: "Install Server" };
  }
}

/** The absolute path of a program on the `PATH`; relative entries would be places inside of a workspace. */
export async function findOnPath(name: string): Promise<string | undefined> {
  const endings = process.platform === "win32" ? [".exe", ".cmd"] : [""];
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    for (const ending of path.isAbsolute(folder) ? endings : []) {
      const found = path.join(folder, name + ending);
      if (await exists(found)) {
        return found;
      }
    }
  }
  return undefined;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}

async function versionOf(candidate: Candidate, log: vscode.LogOutputChannel): Promise<string | undefined> {
  try {
    const { stdout } = await run(candidate.command, [...candidate.args, "--version"], {
      timeoutMs: VERSION_TIMEOUT_MS,
    });
    const version = parseVersion(stdout);
    log.info(`${candidate.origin}: ${candidate.command}: ${version ? `qsum ${version}` : "not qsum"}`);
    return version;
  } catch (error) {
    log.info(`${candidate.origin}: ${candidate.command}: ${reason(error)}`);
    return undefined;
  }
}

function expandHome(configured: string): string {
  return configured.startsWith("~/") ? path.join(homedir(), configured.slice(2)) : configured;
}
