-- What the server says of itself.
local M = {}

local last

--- One line for people from what `qsum/status` or the command `qsum.status` says.
function M.describe(status)
  if type(status) ~= 'table' then
    return ''
  end
  local parts = {}
  if type(status.model) == 'string' then
    parts[1] = type(status.device) == 'string' and status.model .. ' on ' .. status.device or status.model
  end
  if type(status.message) == 'string' and status.message ~= '' then
    table.insert(parts, status.message)
  elseif status.state == 'busy' then
    table.insert(parts, 'summarizing')
  else
    table.insert(parts, 'ready')
  end
  return 'qsum: ' .. table.concat(parts, ', ')
end

function M.changed(status)
  last = status
  vim.cmd.redrawstatus({ bang = true })
end

--- The status of the server of the current buffer; empty where none is attached.
function M.text()
  local client = require('qsum.client').of(vim.api.nvim_get_current_buf())
  if not client then
    return ''
  end
  return last and M.describe(last) or 'qsum'
end

return M
