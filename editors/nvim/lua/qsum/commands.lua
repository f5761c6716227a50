-- What `:Qsum` does.
local client = require('qsum.client')

local M = {}

local function here()
  local buffer = vim.api.nvim_get_current_buf()
  return buffer, vim.uri_from_bufnr(buffer), vim.api.nvim_win_get_cursor(0)[1] - 1
end

local function say(summary)
  if type(summary) == 'table' then
    summary = summary.summary
  end
  if type(summary) == 'string' and summary ~= '' then
    vim.notify(summary)
  end
end

M.subcommands = {
  section = function()
    local buffer, uri, line = here()
    client.execute(buffer, 'qsum.summarizeSection', { uri, line }, say)
  end,
  document = function()
    local buffer, uri = here()
    client.execute(buffer, 'qsum.summarizeDocument', { uri }, function()
      require('qsum.outline').open(buffer)
    end)
  end,
  update = function()
    local buffer, uri = here()
    client.execute(buffer, 'qsum.updateFrontMatter', { uri })
  end,
  refresh = function()
    local buffer, uri = here()
    client.execute(buffer, 'qsum.refreshSummaries', { uri })
  end,
  outline = function()
    require('qsum.outline').toggle(vim.api.nvim_get_current_buf())
  end,
  status = function()
    local buffer = here()
    client.execute(buffer, 'qsum.status', {}, function(status)
      vim.notify(require('qsum.status').describe(status))
    end)
  end,
  log = function()
    vim.cmd.tabedit(vim.fn.fnameescape(vim.lsp.get_log_path and vim.lsp.get_log_path() or vim.lsp.log.get_filename()))
  end,
}

function M.run(arguments)
  local name = arguments.args
  local subcommand = M.subcommands[name]
  if subcommand then
    subcommand()
  else
    local names = table.concat(M.complete(''), ', ')
    vim.notify('qsum: there is no :Qsum ' .. name .. '; there are ' .. names, vim.log.levels.ERROR)
  end
end

function M.complete(lead)
  local names = vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, vim.tbl_keys(M.subcommands))
  table.sort(names)
  return names
end

return M
