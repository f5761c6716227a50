import { PVSC_EXTENSION_ID, PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";

/** The interpreter that the user selected in the Python extension; undefined where there is no such choice. */
export async function selectedPython(): Promise<string | undefined> {
  // An environment inside of a workspace is a program of that workspace.
  if (!vscode.workspace.isTrusted) {
    return undefined;
  }
  const python = await api();
  if (!python) {
    return undefined;
  }
  const resource = vscode.workspace.workspaceFolders?.[0]?.uri;
  try {
    const environment = await python.environments.resolveEnvironment(
      python.environments.getActiveEnvironmentPath(resource),
    );
    return environment?.executable.uri?.fsPath;
  } catch {
    return undefined; // the environment is gone or broken: qsum may be elsewhere
  }
}

/** Calls `changed` when another interpreter is selected. */
export async function onPythonSelected(changed: () => void): Promise<vscode.Disposable | undefined> {
  return (await api())?.environments.onDidChangeActiveEnvironmentPath(changed);
}

async function api(): Promise<PythonExtension | undefined> {
  if (!vscode.extensions.getExtension(PVSC_EXTENSION_ID)) {
    return undefined;
  }
  try {
    return await PythonExtension.api();
  } catch {
    return undefined;
  }
}
