-- The summaries over headings, kept up to date.
local config = require('qsum.config')

local M = {}

local function refresh(buffer)
  if vim.lsp.codelens.enable then
    vim.lsp.codelens.enable(true, { bufnr = buffer })
  else
    vim.lsp.codelens.refresh({ bufnr = buffer })
  end
end

function M.attach(buffer)
  if not config.options.lenses then
    return
  end
  refresh(buffer)
  if vim.lsp.codelens.enable then
    return -- it refreshes by itself
  end
  vim.api.nvim_create_autocmd({ 'BufEnter', 'InsertLeave', 'TextChanged' }, {
    group = vim.api.nvim_create_augroup('qsum.lenses.' .. buffer, {}),
    buffer = buffer,
    callback = function()
      refresh(buffer)
    end,
  })
end

--- The server has new summaries of a document.
function M.summaries_changed(uri)
  local buffer = vim.uri_to_bufnr(uri)
  if config.options.lenses and not vim.lsp.codelens.enable and vim.api.nvim_buf_is_loaded(buffer) then
    refresh(buffer)
  end
end

return M
