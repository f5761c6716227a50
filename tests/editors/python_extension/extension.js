// Speaks for the Python extension, which is in no package registry: the part of its API that tells which
// interpreter is selected. It is the one that its setting names.
const fs = require("node:fs");
const vscode = require("vscode");

const SETTING = "python.defaultInterpreterPath";

function selected() {
  return vscode.workspace.getConfiguration().get(SETTING);
}

exports.activate = () => {
  const changed = new vscode.EventEmitter();
  vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(SETTING)) {
      changed.fire({ id: selected(), path: selected() });
    }
  });
  return {
    ready: Promise.resolve(),
    environments: {
      getActiveEnvironmentPath: () => ({ id: selected(), path: selected() }),
      resolveEnvironment: async ({ path }) => {
        if (!fs.existsSync(path)) {
          throw new Error(`There is no environment ${path}.`);
        }
        return { executable: { uri: vscode.Uri.file(path) } };
      },
      onDidChangeActiveEnvironmentPath: changed.event,
    },
  };
};
