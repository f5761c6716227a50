-- The running server, whatever Neovim calls the functions for it.
local M = {}

--- The server of a buffer, or any where the buffer has none; nil where none runs.
function M.of(buffer)
  local get = vim.lsp.get_clients or vim.lsp.get_active_clients
  return get({ name = 'qsum', bufnr = buffer })[1]
end

--- Sends a request; `done(err, result)` is called in the main loop. Returns false where no server is attached.
function M.request(buffer, method, params, done)
  local client = M.of(buffer)
  if not client then
    vim.notify('qsum: no server is attached to this buffer (see :checkhealth qsum)', vim.log.levels.WARN)
    return false
  end
  local callback = function(err, result)
    done(err, result)
  end
  if vim.fn.has('nvim-0.11') == 1 then
    client:request(method, params, callback, buffer)
  else
    client.request(method, params, callback, buffer)
  end
  return true
end

--- Runs a command of the server.
function M.execute(buffer, command, arguments, done)
  return M.request(buffer, 'workspace/executeCommand', { command = command, arguments = arguments }, function(err, result)
    if err then
      vim.notify('qsum: ' .. (err.message or tostring(err)), vim.log.levels.ERROR)
    elseif done then
      done(result)
    end
  end)
end

return M
