/// What a client runs first on each connection: which stretch of the shard's history is this, and is all there that the
/// client has seen?
///
/// A stretch is the time between two changes of the server's process: a restart, or another server in charge. Before
/// anything is written in a new one, the first client to come notes the marks with which it began. Whoever has seen
/// more than that, in an earlier stretch, knows that the shard went back in time.
enum Opening {
    /// Stretches that are remembered; a client that was away for longer is not told.
    static let stretchesMax = 16

    static let open = #"""
        local function meta() return base .. ':meta' end

        local function readMarks()
          local found = call('HMGET', meta(), 'entered', 'left', 'acts', 'counter')
          for index = 1, 4 do found[index] = tonumber(found[index] or 0) end
          return found
        end

        local function saveStretches(stretches) call('HSET', meta(), 'stretches', cmsgpack.pack(stretches)) end

        -- The stretches up to now, the last one being the current one.
        local function readStretches()
          local packed = call('HGET', meta(), 'stretches')
          local stretches = packed and cmsgpack.unpack(packed) or {}
          local last = stretches[#stretches]
          if last and last.run == request.run then return stretches end
          local found = readMarks()
          table.insert(stretches, { run = request.run, number = math.max(now, last and last.number + 1 or 1),
            marks = found })
          if #stretches > \#(stretchesMax) then table.remove(stretches, 1) end
          saveStretches(stretches)
          if found[4] < counterFloor() then call('HSET', meta(), 'counter', text(counterFloor())) end
          return stretches
        end

        local function missing(found)
          local missing, isMissing = {}, false
          for index = 1, 4 do
            missing[index] = math.max(0, request.seen[index] - found[index])
            isMissing = isMissing or missing[index] > 0
          end
          return isMissing and missing
        end

        -- What the client has seen and the shard has not.
        local function lost(stretches)
          if not request.number then return nil end
          local isKnown = request.number < stretches[1].number and #stretches == \#(stretchesMax)
          for _, stretch in ipairs(stretches) do
            if stretch.number == request.number and stretch.run == request.before then
              isKnown = true
            elseif stretch.number > request.number then
              local lost = missing(stretch.marks)
              if lost then return lost end
            end
          end
          local lost = missing(readMarks())
          return lost or not isKnown and { 0, 0, 0, 0 }
        end

        -- Voids all leases, so that nobody goes on with what began before. Once for each stretch: whoever comes later
        -- has been voided with the others.
        local function amend(stretches)
          local current = stretches[#stretches]
          if current.isAmended then return end
          current.isAmended = true
          saveStretches(stretches)
          local counter = math.max(readMarks()[4], request.seen[4], counterFloor())
          call('HSET', meta(), 'counter', text(counter))
          for _, worker in ipairs(call('ZRANGE', base .. ':workers', 0, -1)) do removeWorker(worker, false) end
        end

        function serve.open()
          local stretches = readStretches()
          local lost = lost(stretches)
          if lost then amend(stretches) end
          return { stretches[#stretches].number, lost or false }
        end
        """#
}
