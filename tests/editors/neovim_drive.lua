-- Runs in a headless Neovim: does what a user does and writes what it saw as JSON.
local seen = {}

local function wait(what, condition, milliseconds)
  if not vim.wait(milliseconds or 30000, condition, 20) then
    error('waited for ' .. what)
  end
end

local function line_of(text)
  for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
    if line == text then
      return number
    end
  end
  error('no line ' .. text)
end

local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
end

local function float()
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= '' then
      return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), '\n')
    end
  end
end

local function close_floats()
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= '' then
      vim.api.nvim_win_close(window, true)
    end
  end
end

local function lens_titles()
  local is_newer = vim.lsp.codelens.enable ~= nil
  return vim.tbl_map(function(lens)
    lens = lens.lens or lens
    return lens.command and lens.command.title or ''
  end, vim.lsp.codelens.get(is_newer and { bufnr = 0 } or 0))
end

local function action(title)
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(one)
      return one.title == title
    end,
  })
end

local function run()
  local page = vim.api.nvim_get_current_buf()
  seen.messages = {}
  vim.notify = function(message)
    table.insert(seen.messages, message)
  end
  wait('the server', function()
    return #vim.lsp.get_clients({ name = 'qsum', bufnr = page }) == 1
  end)

  vim.api.nvim_win_set_cursor(0, { line_of('## Install the tool'), 4 })
  wait('a hover', function()
    close_floats() -- a second hover would go into the first one's window
    vim.lsp.buf.hover()
    vim.wait(1500, function()
      return float() ~= nil
    end, 20)
    return (float() or ''):find('grounded', 1, true) ~= nil
  end)
  seen.hover = float()
  vim.api.nvim_win_set_cursor(0, { 1, 0 })
  vim.cmd('doautocmd CursorMoved')

  wait('a lens with a summary', function()
    seen.lenses = lens_titles()
    return vim.iter(seen.lenses):any(function(title)
      return title ~= '' and title ~= 'Summarize' and title ~= 'Summarizing…'
    end)
  end)

  local before = text()
  vim.api.nvim_win_set_cursor(0, { line_of('## Install the tool'), 4 })
  action('Insert summary below heading')
  wait('the edit', function()
    return text() ~= before
  end)
  seen.inserted = text()
  vim.cmd('silent undo')
  seen.undone = text() == before

  vim.cmd('Qsum update')
  wait('the front matter', function()
    return text() ~= before
  end)
  seen.updated = text()
  vim.cmd('silent undo')

  local progress = {}
  vim.api.nvim_create_autocmd('LspProgress', {
    callback = function(event)
      table.insert(progress, event.data.params.value.kind)
    end,
  })
  vim.cmd('Qsum document')
  wait('the outline', function()
    for _, window in ipairs(vim.api.nvim_list_wins()) do
      local buffer = vim.api.nvim_win_get_buf(window)
      if vim.bo[buffer].filetype == 'qsum-outline' then
        seen.outline = vim.api.nvim_buf_get_lines(buffer, 0, -1, false)
        return #seen.outline > 5 and not table.concat(seen.outline):find('No summary yet', 1, true)
      end
    end
  end)
  seen.progress = progress
  vim.api.nvim_win_set_cursor(0, { line_of('### Limits') + 2, 0 })
  vim.cmd('doautocmd CursorMoved')
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.bo[vim.api.nvim_win_get_buf(window)].filetype == 'qsum-outline' then
      seen.followed = vim.trim(seen.outline[vim.api.nvim_win_get_cursor(window)[1]])
      vim.api.nvim_set_current_win(window)
      vim.api.nvim_win_set_cursor(window, { #seen.outline, 0 })
      vim.cmd.normal({ vim.keycode('<CR>') })
    end
  end
  seen.jumped = vim.api.nvim_get_current_line()

  vim.cmd('Qsum section')
  wait('the message', function()
    return #seen.messages > 0
  end)
  seen.status_before = #seen.messages
  vim.cmd('Qsum status')
  wait('the status', function()
    return #seen.messages > seen.status_before
  end)
  wait('the statusline', function()
    seen.statusline = require('qsum').statusline()
    return seen.statusline:find('scripted', 1, true) ~= nil
  end)
  vim.cmd('checkhealth qsum')
  seen.health = text()
  vim.cmd('help qsum-setup')
  seen.help = vim.api.nvim_get_current_line()
end

local ok, failure = xpcall(run, debug.traceback)
seen.failure = not ok and failure or nil
vim.fn.writefile({ vim.json.encode(seen) }, vim.env.QSUM_TEST_SEEN)
vim.cmd('qall!')
